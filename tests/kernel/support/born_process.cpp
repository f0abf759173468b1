#include "tests/kernel/support/born_process.h"

#include <gtest/gtest.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace namewall::kernel_tests {

pid_t start_born_in(int cgroup_fd, const std::function<int()>& body) {
  clone_args arguments{};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<__u64>(cgroup_fd);
  const long child = syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (child == 0) _exit(body());
  if (child < 0) ADD_FAILURE() << "clone3: " << std::strerror(errno);
  return static_cast<pid_t>(child);
}

int wait_for_born(pid_t child) {
  int status = 0;
  if (child <= 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
    ADD_FAILURE() << "the process died";
    return -1;
  }
  return WEXITSTATUS(status);
}

int run_born_in(int cgroup_fd, const std::function<int()>& body) {
  return wait_for_born(start_born_in(cgroup_fd, body));
}

}  // namespace namewall::kernel_tests
