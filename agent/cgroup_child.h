// A child process that does nothing of its own outside a cgroup. It begins there (CLONE_INTO_CGROUP) where the kernel
// lets it: kernels that count the cgroup.kill of each cgroup (kill_seq in kernel/cgroup/cgroup.c; seen on 6.18) compare
// the counts of the parent's cgroup and the child's, take a difference for a kill that the child missed, and kill it at
// birth. A fresh cgroup below one that was ever ended by cgroup.kill always differs. There the child begins beside its
// parent and moves in as its first act.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

struct CgroupChild {
  pid_t pid = 0;
  FileDescriptor pidfd;
  bool moved_in = false;  // did not begin in the cgroup
};

// `body` runs in the child, inside the cgroup of the directory `cgroup_fd`, and does not return. Returns when the child
// is inside. Reports SIGCHLD; the caller waits for it. On failure no child is left.
// `patience` (0: endless): how long the child may take to be inside, which is forever in a frozen cgroup; ETIMEDOUT.
Result<CgroupChild> start_in_cgroup(int cgroup_fd, const std::function<void()>& body,
                                    std::chrono::milliseconds patience = {});

}  // namespace namewall::agent
