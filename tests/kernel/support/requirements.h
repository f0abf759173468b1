// What the kernel tests need of the host.
#pragma once

#include <optional>
#include <string>

namespace namewall::kernel_tests {

// The first thing that is missing, in one sentence: root, cgroup2, BPF, network namespaces, ip(8). nullopt: nothing.
std::optional<std::string> find_missing_requirement();

}  // namespace namewall::kernel_tests
