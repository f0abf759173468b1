// A child process that finds one thing out and says so: what the doctor tries must not change the doctor.
#pragma once

#include <functional>
#include <string>

#include "policy/result.h"

namespace namewall::agent {

// Forks; `body` runs in the child and returns "" when all went well, else what did not. The error is of the fork, or of
// a child that ended without an answer.
Result<std::string> ask_child(const std::function<std::string()>& body);

// The same, the child running inside the cgroup of `cgroup_fd` (cgroup_child.h). `meanwhile` runs in the
// parent until the child has ended: called again and again, it may wait for up to a tenth of a second.
Result<std::string> ask_child_in_cgroup(int cgroup_fd, const std::function<std::string()>& body,
                                        const std::function<void()>& meanwhile);

}  // namespace namewall::agent
