/* What is asked of POST /v1/restrict, and what its answers mean: JSON, by jansson. */
#ifndef NAMEWALL_ANSWER_H
#define NAMEWALL_ANSWER_H

#include <sys/types.h>

#include "libnamewall/exchange.h"
#include "libnamewall/namewall.h"

enum { NAMEWALL_MAX_BODY = 1024 * 1024 };

/* The body of a request; free() it. `child` 0: the caller itself. NULL: an endpoint or the label is no UTF-8, it is
 * longer than NAMEWALL_MAX_BODY, or there is no memory. */
char* namewall_request_body(const struct namewall_request* request, pid_t child);

/* Fills what the answer tells; an enum namewall_result. An error without a known word is placed by its status. */
int namewall_read_answer(const struct namewall_answer* answer, struct namewall_outcome* outcome);

/* `text` into a field of an outcome: control characters become "?", and what is too long is cut between characters,
 * with NAMEWALL_TRUNCATED. */
void namewall_set_text(struct namewall_outcome* outcome, char* field, size_t room, const char* text);

#endif
