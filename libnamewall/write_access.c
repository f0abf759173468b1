#include "libnamewall/write_access.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libnamewall/allowed_places.h"
#include "libnamewall/namewall.h"
#include "libnamewall/process.h"

#ifndef LANDLOCK_RESTRICT_SELF_TSYNC
#define LANDLOCK_RESTRICT_SELF_TSYNC (1U << 3) /* include/uapi/linux/landlock.h, ABI 8 */
#endif
enum { NAMEWALL_ABI_REFER = 2, NAMEWALL_ABI_TSYNC = 8 };

/* Moving and linking between directories is refused by every ruleset that does not know it, so it is among them. */
static const uint64_t kHandled =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR;

struct ruleset {
  int fd;
  uint64_t handled;
};

static int allow_place(void* context, int fd, int is_directory) {
  const struct ruleset* ruleset = context;
  struct landlock_path_beneath_attr rule;
  rule.allowed_access = is_directory ? ruleset->handled : LANDLOCK_ACCESS_FS_WRITE_FILE;
  rule.parent_fd = fd;
  if (syscall(SYS_landlock_add_rule, ruleset->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0) return 0;
  return errno == EBADFD || errno == EBADF ? 0 : errno;  // EBADFD: in a kernel-internal file system, where none can be
}

/* The number of clone3 is the same for the i386 and x32 calls of x86-64, and none of them may be used to go around it.
 * ENOSYS: libraries take clone(2) then, which has no CLONE_INTO_CGROUP. */
static int refuse_clone3(int* system_error) {
#ifdef __x86_64__
  const uint32_t number_bits = ~0x40000000u;  // __X32_SYSCALL_BIT
#else
  const uint32_t number_bits = ~0u;
#endif
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, number_bits),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program;
  program.len = sizeof code / sizeof code[0];
  program.filter = code;
  const long done = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
  if (done == 0) return NAMEWALL_OK;
  if (done > 0) return NAMEWALL_MANY_THREADS;  // one of them has a filter of its own
  if (errno == ENOSYS || errno == EINVAL) return NAMEWALL_UNSUPPORTED;
  *system_error = errno;
  return NAMEWALL_SYSTEM;
}

static int enforce(const struct ruleset* ruleset, int is_threaded, int* system_error) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    *system_error = errno;
    return NAMEWALL_SYSTEM;
  }
  const int refused = refuse_clone3(system_error);
  if (refused != NAMEWALL_OK) return refused;
  const unsigned flags = is_threaded ? LANDLOCK_RESTRICT_SELF_TSYNC : 0;
  if (syscall(SYS_landlock_restrict_self, ruleset->fd, flags) == 0) return NAMEWALL_OK;
  *system_error = errno;
  if (errno == E2BIG) return NAMEWALL_LIMIT;
  return NAMEWALL_SYSTEM;
}

int namewall_give_up_writing(int* system_error) {
  *system_error = 0;
  const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return NAMEWALL_UNSUPPORTED;
  const int is_threaded = namewall_count_threads() != 1;
  if (is_threaded && abi < NAMEWALL_ABI_TSYNC) return NAMEWALL_MANY_THREADS;

  struct ruleset ruleset;
  ruleset.handled = kHandled | (abi >= NAMEWALL_ABI_REFER ? LANDLOCK_ACCESS_FS_REFER : 0);
  const uint64_t attributes[1] = {ruleset.handled};  // struct landlock_ruleset_attr as ABI 1 has it
  ruleset.fd = (int)syscall(SYS_landlock_create_ruleset, attributes, sizeof attributes, 0);
  if (ruleset.fd < 0) {
    *system_error = errno;
    return NAMEWALL_SYSTEM;
  }
  int done = namewall_visit_allowed_places(&allow_place, &ruleset, system_error);
  if (done == NAMEWALL_OK) done = enforce(&ruleset, is_threaded, system_error);
  close(ruleset.fd);
  return done;
}
