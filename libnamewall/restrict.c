/* The three functions of namewall.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libnamewall/answer.h"
#include "libnamewall/descriptors.h"
#include "libnamewall/exchange.h"
#include "libnamewall/namewall.h"
#include "libnamewall/process.h"
#include "libnamewall/write_access.h"

#define NAMEWALL_EXPORT __attribute__((visibility("default")))

/* What a caller of this library's first version passes. Later versions of the structures are longer. */
_Static_assert(sizeof(struct namewall_request) == 40 + 4 * sizeof(void*), "ABI 0");
_Static_assert(sizeof(struct namewall_outcome) == 6544, "ABI 0");

enum { NAMEWALL_DEFAULT_TIMEOUT_MS = 10000, NAMEWALL_AVAILABLE_TIMEOUT_MS = 5000 };

/* One call: a whole request and outcome of this version, whatever the caller's are. */
struct call {
  struct namewall_request request;
  struct namewall_outcome outcome;
  const char* socket_path;
  int64_t deadline_ms;
};

static int fail(struct call* call, int result, const char* sentence) {
  struct namewall_outcome* outcome = &call->outcome;
  namewall_set_text(outcome, outcome->sentence, sizeof outcome->sentence, sentence);
  return result;
}

static int fail_system(struct call* call, const char* what, int error) {
  char sentence[1024];
  call->outcome.system_error = error;
  errno = error;
  snprintf(sentence, sizeof sentence, "%.700s: %m", what);
  return fail(call, NAMEWALL_SYSTEM, sentence);
}

static int fail_exchange(struct call* call, int result, int system_error) {
  char sentence[1024];
  const char *before = "the daemon at ", *after;
  switch (result) {
    case NAMEWALL_NO_DAEMON:
      before = "nothing listens at ";
      after = ": namewalld does not run";
      break;
    case NAMEWALL_NOT_PERMITTED:
      before = "the control socket ";
      after = " is closed to this user";
      break;
    case NAMEWALL_TIMEOUT:
      after = " has not answered in time: whether the process is narrowed is not known";
      break;
    case NAMEWALL_BAD_ANSWER:
      after = " gives no answer that makes sense: whether the process is narrowed is not known";
      break;
    default:
      before = "cannot ask the daemon at ";
      after = "";
      break;
  }
  snprintf(sentence, sizeof sentence, "%s%.600s%s", before, call->socket_path, after);
  return result == NAMEWALL_SYSTEM ? fail_system(call, sentence, system_error) : fail(call, result, sentence);
}

/* The caller's request, or the reason why it is none. */
static int begin(struct call* call, const struct namewall_request* request, unsigned accepted_flags) {
  memset(call, 0, sizeof *call);
  if (request == NULL) return fail(call, NAMEWALL_BAD_REQUEST, "there is no request");
  if (request->size < sizeof call->request) {
    return fail(call, NAMEWALL_BAD_REQUEST, "the request's size is not that of a struct namewall_request");
  }
  /* A later version's fields must be zero: what they ask for is not known here. */
  const unsigned char* bytes = (const unsigned char*)request;
  for (size_t i = offsetof(struct namewall_request, reserved); i < request->size; ++i) {
    if (bytes[i] != 0)
      return fail(call, NAMEWALL_UNSUPPORTED, "the request asks for what this libnamewall does not know");
  }
  call->request = *request;
  if ((request->flags & ~accepted_flags) != 0) {
    const int is_of_self = (request->flags & ~accepted_flags) == NAMEWALL_COOPERATIVE;
    return fail(call, NAMEWALL_BAD_REQUEST,
                is_of_self ? "NAMEWALL_COOPERATIVE is for the calling process alone: nobody gives up another's rights"
                           : "the request has a flag that this libnamewall does not know");
  }
  if (request->allow == NULL && request->allow_count > 0) {
    return fail(call, NAMEWALL_BAD_REQUEST, "allow_count without allow");
  }
  for (size_t i = 0; i < request->allow_count; ++i) {
    if (request->allow[i] == NULL) return fail(call, NAMEWALL_BAD_REQUEST, "an endpoint in allow is NULL");
  }
  call->socket_path = request->socket_path == NULL ? NAMEWALL_DEFAULT_SOCKET : request->socket_path;
  const uint32_t timeout_ms = request->timeout_ms == 0 ? NAMEWALL_DEFAULT_TIMEOUT_MS : request->timeout_ms;
  call->deadline_ms = namewall_clock_ms() + timeout_ms;
  return NAMEWALL_OK;
}

/* Gives the caller as much of the outcome as it has room for. */
static int end(const struct call* call, int result, struct namewall_outcome* outcome) {
  if (outcome == NULL || outcome->size < sizeof outcome->size) return result;
  const uint32_t size = outcome->size;
  const size_t known = size < sizeof call->outcome ? size : sizeof call->outcome;
  memcpy(outcome, &call->outcome, known);
  memset((char*)outcome + known, 0, size - known);
  outcome->size = size;
  return result;
}

static int ask_available(struct call* call) {
  struct namewall_answer answer;
  int system_error = 0;
  const int done =
      namewall_exchange(call->socket_path, "OPTIONS", "/v1/restrict", NULL, call->deadline_ms, &answer, &system_error);
  if (done != NAMEWALL_OK) return fail_exchange(call, done, system_error);
  const int is_success = answer.status >= 200 && answer.status < 300;
  int result = NAMEWALL_OK;
  if ((is_success && strstr(answer.allow, "POST") == NULL) || answer.status == 404 || answer.status == 405) {
    result = fail(call, NAMEWALL_UNSUPPORTED, "this namewalld is too old to narrow processes");
  } else if (!is_success) {
    result = namewall_read_answer(&answer, &call->outcome);
  }
  free(answer.body);
  return result;
}

static int ask_restrict(struct call* call, pid_t child) {
  char* body = namewall_request_body(&call->request, child);
  if (body == NULL) {
    return fail(call, NAMEWALL_BAD_REQUEST, "an endpoint or the label is no UTF-8, or the request is too long");
  }
  struct namewall_answer answer;
  int system_error = 0;
  int result =
      namewall_exchange(call->socket_path, "POST", "/v1/restrict", body, call->deadline_ms, &answer, &system_error);
  free(body);
  if (result != NAMEWALL_OK) return fail_exchange(call, result, system_error);
  result = namewall_read_answer(&answer, &call->outcome);
  free(answer.body);
  return result == NAMEWALL_BAD_ANSWER ? fail_exchange(call, result, 0) : result;
}

/* Whatever could refuse the whole is asked before: what is given up here does not come back. */
static int give_up(struct call* call) {
  const int offered = ask_available(call);
  if (offered != NAMEWALL_OK) return offered;
  const int32_t ways_out = namewall_count_ways_out();
  if (ways_out < 0) return fail_system(call, "cannot list the open descriptors in /proc/self/fd", errno);
  call->outcome.ways_out = (uint32_t)ways_out;
  if (ways_out > 0) {
    return fail(
        call, NAMEWALL_DESCRIPTORS,
        "open descriptors would lead out of the workload: cgroup files open for writing, or io_uring instances");
  }
  int system_error = 0;
  const int done = namewall_give_up_writing(&system_error);
  switch (done) {
    case NAMEWALL_OK:
      call->outcome.flags |= NAMEWALL_GAVE_UP_WRITING;
      return done;
    case NAMEWALL_MANY_THREADS:
      return fail(call, done, "this kernel takes rights from one thread, and the process has several");
    case NAMEWALL_UNSUPPORTED:
      return fail(call, done, "this kernel has no Landlock, or no seccomp filters");
    case NAMEWALL_LIMIT:
      return fail(call, done, "Landlock has no room: too many rulesets, mounts or directories");
    default:
      return fail_system(call, "cannot give up write access below /sys", system_error);
  }
}

NAMEWALL_EXPORT int namewall_available(const char* socket_path) {
  struct call call;
  memset(&call, 0, sizeof call);
  call.socket_path = socket_path == NULL ? NAMEWALL_DEFAULT_SOCKET : socket_path;
  call.deadline_ms = namewall_clock_ms() + NAMEWALL_AVAILABLE_TIMEOUT_MS;
  return ask_available(&call);
}

NAMEWALL_EXPORT int namewall_restrict_self(const struct namewall_request* request, struct namewall_outcome* outcome) {
  struct call call;
  int result = begin(&call, request, NAMEWALL_COOPERATIVE);
  if (result == NAMEWALL_OK && (call.request.flags & NAMEWALL_COOPERATIVE) != 0) result = give_up(&call);
  if (result == NAMEWALL_OK) result = ask_restrict(&call, 0);
  call.outcome.kept_sockets = namewall_count_own_sockets();
  return end(&call, result, outcome);
}

NAMEWALL_EXPORT int namewall_restrict_child(int pidfd, const struct namewall_request* request,
                                            struct namewall_outcome* outcome) {
  static const char kNoChild[] = "the process has ended, or is no child of this one";
  struct call call;
  pid_t pid = 0;
  int result = begin(&call, request, 0);
  if (result == NAMEWALL_OK) {
    result = namewall_child_of_pidfd(pidfd, &pid);
    if (result == NAMEWALL_NO_PROCESS) (void)fail(&call, result, kNoChild);
    if (result == NAMEWALL_BAD_REQUEST) (void)fail(&call, result, "the descriptor is no pidfd");
  }
  if (result == NAMEWALL_OK) result = ask_restrict(&call, pid);
  /* Had it ended, and somebody waited for it, its number could have become another child's. */
  if (result == NAMEWALL_OK && namewall_has_ended(pidfd)) result = fail(&call, NAMEWALL_NO_PROCESS, kNoChild);
  call.outcome.kept_sockets = result == NAMEWALL_OK ? namewall_count_sockets_of(pidfd, pid) : -1;
  return end(&call, result, outcome);
}
