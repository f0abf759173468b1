#include "tests/kernel/support/requirements.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tests/kernel/support/cgroup_mount.h"

namespace namewall::kernel_tests {
namespace {

bool can_create_map(std::string& why) {
  union bpf_attr attr;
  std::memset(&attr, 0, sizeof(attr));
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = 4;
  attr.value_size = 4;
  attr.max_entries = 1;
  const long fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
  if (fd < 0) {
    why = std::string("BPF maps cannot be created: ") + std::strerror(errno);
    return false;
  }
  close(static_cast<int>(fd));
  return true;
}

bool can_make_netns() {
  const pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWNET) == 0 ? 0 : 1);
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

std::optional<std::string> find_missing_requirement() {
  if (geteuid() != 0) return "kernel tests need root";
  if (!find_own_cgroup()) return "kernel tests need a mounted cgroup2 hierarchy that holds this process";
  std::string why;
  if (!can_create_map(why)) return why;
  if (!can_make_netns()) return "kernel tests need to make network namespaces";
  if (access("/sbin/ip", X_OK) != 0 && access("/usr/bin/ip", X_OK) != 0) return "kernel tests need ip(8) of iproute2";
  return std::nullopt;
}

}  // namespace namewall::kernel_tests
