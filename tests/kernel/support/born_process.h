// A process that is in its cgroup from its first instruction (CLONE_INTO_CGROUP).
#pragma once

#include <sys/types.h>

#include <functional>

namespace namewall::kernel_tests {

// What `body` returns in the child, 0..255. A child that cannot be made or dies is a test failure, and -1.
int run_born_in(int cgroup_fd, const std::function<int()>& body);

// The two halves of it.
pid_t start_born_in(int cgroup_fd, const std::function<int()>& body);
int wait_for_born(pid_t child);

}  // namespace namewall::kernel_tests
