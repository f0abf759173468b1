#include "libnamewall/exchange.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "libnamewall/namewall.h"

enum { NAMEWALL_FULL_BACKLOG_PAUSE_MS = 2 };

int64_t namewall_clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int failed(int error, int* system_error) {
  *system_error = error;
  return NAMEWALL_SYSTEM;
}

/* Until the deadline at most; fd -1: only waits. */
static int wait_for(int fd, short events, int64_t deadline_ms, int longest_ms, int* system_error) {
  for (;;) {
    const int64_t left = deadline_ms - namewall_clock_ms();
    if (left <= 0) return NAMEWALL_TIMEOUT;
    struct pollfd one = {fd, events, 0};
    const int ready = poll(&one, fd >= 0, left < longest_ms ? (int)left : longest_ms);
    if (ready > 0 || (ready == 0 && fd < 0)) return NAMEWALL_OK;
    if (ready < 0 && errno != EINTR) return failed(errno, system_error);
  }
}

/* A unix socket's connect does not wait for room in the backlog: EAGAIN, and nothing to poll for (unix(7)). */
static int connect_to(const char* socket_path, int64_t deadline_ms, int* fd, int* system_error) {
  struct sockaddr_un address;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  if (strlen(socket_path) >= sizeof address.sun_path) return failed(ENAMETOOLONG, system_error);
  memcpy(address.sun_path, socket_path, strlen(socket_path));
  *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (*fd < 0) return failed(errno, system_error);
  while (connect(*fd, (const struct sockaddr*)&address, sizeof address) != 0) {
    if (errno == EINTR) continue;
    if (errno == EACCES || errno == EPERM) return NAMEWALL_NOT_PERMITTED;
    if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR || errno == ENOTSOCK) return NAMEWALL_NO_DAEMON;
    if (errno != EAGAIN) return failed(errno, system_error);
    const int waited = wait_for(-1, 0, deadline_ms, NAMEWALL_FULL_BACKLOG_PAUSE_MS, system_error);
    if (waited != NAMEWALL_OK) return waited;
  }
  return NAMEWALL_OK;
}

/* A peer that answers before it has read all (413, 403) may close: its answer is still there to be read. */
static int send_all(int fd, const char* bytes, size_t size, int64_t deadline_ms, int* system_error) {
  while (size > 0) {
    const ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent > 0) {
      bytes += sent;
      size -= (size_t)sent;
    } else if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) {
      return NAMEWALL_OK;
    } else if (sent < 0 && errno == EAGAIN) {
      const int waited = wait_for(fd, POLLOUT, deadline_ms, 1000, system_error);
      if (waited != NAMEWALL_OK) return waited;
    } else if (sent < 0 && errno != EINTR) {
      return failed(errno, system_error);
    }
  }
  return NAMEWALL_OK;
}

struct text {
  char* bytes;
  size_t size, room;
};

/* Room for `more` bytes and a zero behind them. */
static int grow(struct text* text, size_t more) {
  if (text->room - text->size > more) return 1;
  const size_t room = text->size + more + 1 > 2 * text->room ? text->size + more + 1 : 2 * text->room;
  char* bytes = realloc(text->bytes, room);
  if (bytes == NULL) return 0;
  text->bytes = bytes;
  text->room = room;
  return 1;
}

/* "Name: value" in [begin, end); the value's place, NULL: another header. */
static const char* value_of(const char* begin, const char* end, const char* name) {
  const size_t length = strlen(name);
  if ((size_t)(end - begin) <= length || begin[length] != ':' || strncasecmp(begin, name, length) != 0) return NULL;
  begin += length + 1;
  while (begin < end && (*begin == ' ' || *begin == '\t')) ++begin;
  return begin;
}

struct head {
  int status;
  size_t size;      /* with the empty line */
  size_t body_size; /* SIZE_MAX: until the end of the connection */
  char allow[128];
};

static int read_length(const char* begin, const char* end, size_t* size) {
  size_t length = 0;
  if (begin == end) return 0;
  for (; begin < end; ++begin) {
    if (*begin < '0' || *begin > '9') return 0;
    length = length * 10 + (size_t)(*begin - '0');
    if (length > NAMEWALL_MAX_ANSWER) return 0;
  }
  if (*size != SIZE_MAX && *size != length) return 0;
  *size = length;
  return 1;
}

/* 1: read; 0: not whole yet; -1: no head of an answer. */
static int read_head(const struct text* text, struct head* head) {
  static const char kVersion[] = "HTTP/1.";
  const size_t known = text->size < sizeof kVersion - 1 ? text->size : sizeof kVersion - 1;
  if (memcmp(text->bytes, kVersion, known) != 0) return -1;
  const char* const end = text->size == 0 ? NULL : memmem(text->bytes, text->size, "\r\n\r\n", 4);
  if (end == NULL) return text->size > NAMEWALL_MAX_HEADER ? -1 : 0;
  const char* line = text->bytes;
  if (end - line < 12 || line[8] != ' ') return -1;
  head->status = 0;
  for (int i = 9; i < 12; ++i) {
    if (line[i] < '0' || line[i] > '9') return -1;
    head->status = head->status * 10 + (line[i] - '0');
  }
  head->body_size = SIZE_MAX;
  head->size = (size_t)(end - text->bytes) + 4;
  head->allow[0] = '\0';
  for (line = memmem(line, head->size, "\r\n", 2); line < end;) {
    line += 2;
    const char* line_end = memmem(line, (size_t)(text->bytes + head->size - line), "\r\n", 2);
    const char* value = value_of(line, line_end, "Content-Length");
    if (value != NULL && !read_length(value, line_end, &head->body_size)) return -1;
    if (value_of(line, line_end, "Transfer-Encoding") != NULL) return -1;
    value = value_of(line, line_end, "Allow");
    if (value != NULL) snprintf(head->allow, sizeof head->allow, "%.*s", (int)(line_end - value), value);
    line = line_end;
  }
  if (head->status < 200 || head->status == 204 || head->status == 304) head->body_size = 0;
  return 1;
}

static int receive(int fd, int64_t deadline_ms, struct text* text, struct head* head, int* system_error) {
  int have_head = 0;
  for (;;) {
    if (!have_head && text->size > 0) {
      have_head = read_head(text, head);
      if (have_head < 0 || (have_head > 0 && head->status < 200)) return NAMEWALL_BAD_ANSWER;
    }
    const size_t body_size = have_head ? text->size - head->size : 0;
    if (have_head && head->body_size != SIZE_MAX && body_size >= head->body_size) return NAMEWALL_OK;
    if (text->size > (size_t)NAMEWALL_MAX_ANSWER + NAMEWALL_MAX_HEADER) return NAMEWALL_BAD_ANSWER;
    if (!grow(text, 4096)) return failed(ENOMEM, system_error);
    const ssize_t got = recv(fd, text->bytes + text->size, 4096, 0);
    if (got > 0) {
      text->size += (size_t)got;
    } else if (got == 0 || errno == ECONNRESET) {
      const int is_whole = have_head && head->body_size == SIZE_MAX && got == 0;
      if (is_whole) head->body_size = body_size;
      return is_whole ? NAMEWALL_OK : NAMEWALL_BAD_ANSWER;
    } else if (errno == EAGAIN) {
      const int waited = wait_for(fd, POLLIN, deadline_ms, 1000, system_error);
      if (waited != NAMEWALL_OK) return waited;
    } else if (errno != EINTR) {
      return failed(errno, system_error);
    }
  }
}

static int speak(int fd, const char* method, const char* target, const char* body, int64_t deadline_ms,
                 struct namewall_answer* answer, int* system_error) {
  char head_out[512];
  const size_t body_size = body == NULL ? 0 : strlen(body);
  const int length = snprintf(head_out, sizeof head_out,
                              "%s %s HTTP/1.0\r\nHost: namewall\r\nContent-Type: application/json\r\n"
                              "Content-Length: %zu\r\n\r\n",
                              method, target, body_size);
  if (length < 0 || (size_t)length >= sizeof head_out) return failed(EOVERFLOW, system_error);
  int done = send_all(fd, head_out, (size_t)length, deadline_ms, system_error);
  if (done == NAMEWALL_OK) done = send_all(fd, body, body_size, deadline_ms, system_error);
  if (done != NAMEWALL_OK) return done;

  struct text text = {NULL, 0, 0};
  struct head head;
  memset(&head, 0, sizeof head);
  done = receive(fd, deadline_ms, &text, &head, system_error);
  if (done != NAMEWALL_OK) {
    free(text.bytes);
    return done;
  }
  memmove(text.bytes, text.bytes + head.size, head.body_size);
  text.bytes[head.body_size] = '\0';
  answer->status = head.status;
  answer->body = text.bytes;
  answer->body_size = head.body_size;
  memcpy(answer->allow, head.allow, sizeof answer->allow);
  return NAMEWALL_OK;
}

int namewall_exchange(const char* socket_path, const char* method, const char* target, const char* body,
                      int64_t deadline_ms, struct namewall_answer* answer, int* system_error) {
  memset(answer, 0, sizeof *answer);
  *system_error = 0;
  int fd = -1;
  int done = connect_to(socket_path, deadline_ms, &fd, system_error);
  if (done == NAMEWALL_OK) done = speak(fd, method, target, body, deadline_ms, answer, system_error);
  if (fd >= 0) close(fd);
  return done;
}
