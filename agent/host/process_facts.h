// Reads what foreign_users.h judges: the processes of a cgroup subtree as /proc shows them.
#pragma once

#include <chrono>
#include <cstddef>

#include "agent/host/foreign_users.h"
#include "policy/result.h"

namespace namewall::agent {

struct InspectionBounds {
  std::size_t processes = 4096;
  std::size_t descriptors = 65536;  // of all processes together
  std::chrono::milliseconds time{1500};
};

// Needs root (CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN); moves the calling thread through the processes'
// network namespaces and looks into their mount namespaces, where a file system of the workload's own may keep it
// waiting: for a process of its own that may be killed. What a bound cut off is said in not_looked_at.
Result<WorkloadFacts> read_workload_facts(int cgroup_fd, const InspectionBounds& bounds = {});

}  // namespace namewall::agent
