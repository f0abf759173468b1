// Where this process's own cgroup is: the cgroup2 mount of mountinfo plus the "0::" line of /proc/self/cgroup.
#pragma once

#include <optional>
#include <string>

namespace namewall::kernel_tests {

std::optional<std::string> find_own_cgroup();

}  // namespace namewall::kernel_tests
