/* libnamewall: a process gives up network reach for itself or for a child that it has started. No root is needed; a
 * running namewalld is. docs/restrict.md, libnamewall(3).
 *
 * All three functions may be called by several threads at once. They keep no state between calls, print nothing, read
 * no environment variable, install no signal handler and raise no SIGPIPE; they allocate memory, and are no choice for
 * a signal handler, or between fork and exec in a process with threads: narrow the child from its parent instead. Every
 * descriptor that they open is close-on-exec and closed when they return.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef NAMEWALL_H
#define NAMEWALL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NAMEWALL_DEFAULT_SOCKET "/run/namewall/control.sock"

/* What the functions return. The numbers do not change; later versions may add some, all below zero. */
enum namewall_result {
  NAMEWALL_OK = 0,
  NAMEWALL_NO_DAEMON = -1,     /* nobody listens at the socket */
  NAMEWALL_NOT_PERMITTED = -2, /* this user may not connect, or the daemon says no */
  NAMEWALL_BAD_REQUEST = -3,   /* the structure, a flag, or an endpoint; the sentence says which */
  NAMEWALL_DELEGATED = -4,     /* the process could leave its cgroup by itself: see NAMEWALL_COOPERATIVE */
  NAMEWALL_THREADED = -5,      /* its cgroup is threaded */
  NAMEWALL_FROZEN = -6,        /* its cgroup is frozen */
  NAMEWALL_LIMIT = -7,         /* a bound of the daemon or of the kernel */
  NAMEWALL_NO_PROCESS = -8,    /* the pidfd's process has ended, or is no child of the caller */
  NAMEWALL_TIMEOUT = -9,       /* no whole answer in time: whether the process is narrowed is not known */
  NAMEWALL_BAD_ANSWER = -10,   /* no answer that makes sense: whether the process is narrowed is not known */
  NAMEWALL_UNSUPPORTED = -11,  /* this daemon or this kernel cannot do it */
  NAMEWALL_MANY_THREADS =
      -12,                    /* cooperative: the kernel (before Landlock ABI 8) can take rights from one thread only */
  NAMEWALL_DESCRIPTORS = -13, /* cooperative: open descriptors would lead out; see ways_out */
  NAMEWALL_REFUSED = -14,     /* the daemon refuses for another reason: see code and sentence */
  NAMEWALL_SYSTEM = -15       /* a system call failed: see system_error */
};

/* Flags of a request. */
enum {
  /* restrict_self alone: for a process that may write cgroup.procs up to where its cgroups were delegated. It first
   * takes from itself, for good and for all that it starts: no_new_privs; by Landlock the right to write below any
   * cgroup file system and /sys, and to mount; by seccomp clone3(2) (ENOSYS). Helpers outside (a user's service
   * manager) can still be asked to start something elsewhere. */
  NAMEWALL_COOPERATIVE = 1u
};

/* Zero what you do not set: `struct namewall_request request = NAMEWALL_REQUEST_INIT;` */
struct namewall_request {
  uint32_t size;            /* sizeof(struct namewall_request) */
  uint32_t flags;           /* NAMEWALL_COOPERATIVE, or 0 */
  const char* const* allow; /* endpoints, as a policy's `allow`; UTF-8 */
  size_t allow_count;       /* 0: nothing may be reached */
  const char* label;        /* NULL: none; a word for people, shown with the workload */
  const char* socket_path;  /* NULL: NAMEWALL_DEFAULT_SOCKET */
  uint32_t timeout_ms;      /* for the whole call; 0: 10,000 */
  uint32_t reserved[7];     /* 0 */
};
#define NAMEWALL_REQUEST_INIT                                                                    \
  {                                                                                              \
    sizeof(struct namewall_request), 0u, NULL, 0, NULL, NULL, 0u, { 0u, 0u, 0u, 0u, 0u, 0u, 0u } \
  }

/* Flags of an outcome. */
enum {
  NAMEWALL_IS_COOPERATIVE = 1u,  /* it holds only because the process gave its rights up, and against what it starts */
  NAMEWALL_GAVE_UP_WRITING = 2u, /* the rights of NAMEWALL_COOPERATIVE are gone, also where the call failed later */
  NAMEWALL_TRUNCATED = 4u        /* a text was longer than its room here */
};

/* Texts end with a zero byte, are cut between characters where they are too long, and have no control characters but
 * line feeds between lines. */
struct namewall_outcome {
  uint32_t size; /* sizeof(struct namewall_outcome), set by the caller; no byte beyond it is written */
  uint32_t flags;
  int32_t kept_sockets; /* IPv4 and IPv6 sockets that the process holds after the call: those from before it keep
                           their old reach. With threads that make sockets meanwhile: at most. -1: not known */
  int32_t system_error; /* errno of NAMEWALL_SYSTEM, else 0 */
  uint64_t cgroup_id;   /* of the workload; an inode number */
  uint32_t depth;       /* workloads around this one, with it */
  uint32_t without_effect_count; /* endpoints of the request that open nothing */
  uint32_t ways_out;             /* of NAMEWALL_DESCRIPTORS: open descriptors of cgroup files, io_uring instances */
  uint32_t reserved[7];
  char workload[256];
  char state[32];            /* "enforcing", or what `namewall show` says */
  char code[48];             /* of a refusal: the daemon's word for it */
  char sentence[1024];       /* of a failure: what is wrong, for people; "" on success */
  char why[1024];            /* why the state is not plainly "enforcing", a line each */
  char without_effect[4096]; /* endpoints that open nothing, and why, a line each */
};
#define NAMEWALL_OUTCOME_INIT                                                                       \
  {                                                                                                 \
    sizeof(struct namewall_outcome), 0u, 0, 0, 0u, 0u, 0u, 0u, {0u}, {0}, {0}, {0}, {0}, {0}, { 0 } \
  }

/* Whether a daemon that can narrow answers there (NULL: NAMEWALL_DEFAULT_SOCKET), within 5 s. NAMEWALL_OK,
 * NAMEWALL_NO_DAEMON, NAMEWALL_NOT_PERMITTED, NAMEWALL_UNSUPPORTED, NAMEWALL_TIMEOUT, or another failure. */
int namewall_available(const char* socket_path);

/* Narrows the calling process, with all its threads, to `allow` and to what held for it before: never wider. On
 * NAMEWALL_OK every socket made from now on is judged so. Its children of before are not narrowed. Narrowing again
 * narrows further. `outcome` may be NULL. */
int namewall_restrict_self(const struct namewall_request* request, struct namewall_outcome* outcome);

/* The same for a child of the calling process that nobody has waited for, by its pidfd, which stays open. Children that
 * it has already are not narrowed: keep it from starting any until this returns. */
int namewall_restrict_child(int pidfd, const struct namewall_request* request, struct namewall_outcome* outcome);

#ifdef __cplusplus
}
#endif

#endif
