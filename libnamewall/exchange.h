/* One HTTP exchange over a unix socket: a request out, a bounded answer in, all before a deadline. Not libcurl: a unix
 * socket needs no TLS, no resolver and no global start-up, and a runtime that links this should not load forty
 * libraries (10 ms) for it. HTTP/1.0 (RFC 1945), so that no answer comes in chunks. */
#ifndef NAMEWALL_EXCHANGE_H
#define NAMEWALL_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

enum { NAMEWALL_MAX_ANSWER = 256 * 1024, NAMEWALL_MAX_HEADER = 16 * 1024 };

struct namewall_answer {
  int status; /* of HTTP */
  char* body; /* with a zero byte behind it; free() it */
  size_t body_size;
  char allow[128]; /* the header of that name, "": none */
};

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t namewall_clock_ms(void);

/* `body` NULL: none. 0, or an enum namewall_result with errno in *system_error where a system call failed. On failure
 * the answer is empty. NAMEWALL_TIMEOUT, NAMEWALL_BAD_ANSWER: the request may have been read. */
int namewall_exchange(const char* socket_path, const char* method, const char* target, const char* body,
                      int64_t deadline_ms, struct namewall_answer* answer, int* system_error);

#endif
