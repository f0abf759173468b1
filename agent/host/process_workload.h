// Whose workload a process is, by its cgroup.
#pragma once

#include <cstdint>

#include "agent/host/workload_registry.h"

namespace namewall::agent {

// The innermost armed workload that it is in; nullptr: none, or there is no such process (any more).
const Workload* find_workload_of_process(const WorkloadRegistry& registry, std::uint32_t pid);

}  // namespace namewall::agent
