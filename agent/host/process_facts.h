// Reads what foreign_users.h judges: the processes of a cgroup subtree as /proc shows them.
//
// Which capabilities count: in the initial user namespace the effective ones, CAP_SYS_PTRACE only with the initial pid
// namespace and CAP_DAC_OVERRIDE only with the initial mount namespace in view; in another user namespace CAP_NET_ADMIN
// and CAP_NET_RAW where it owns the process's network namespace.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "agent/host/foreign_users.h"
#include "policy/result.h"

namespace namewall::agent {

inline constexpr std::size_t kMaxInspectedProcesses = 4096;
inline constexpr std::chrono::milliseconds kInspectionBudget{1500};

// Needs root (CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN). Moves the calling thread through the processes'
// network namespaces, and looks into their mount namespaces, where a file system of the workload's own may keep it
// waiting: for a process of its own that may be killed. What a bound cut off is said in not_looked_at. `left_out`: a
// pid that is not looked at, or 0. `helper`: the privileged helper, where it asks: the probes that its servants start
// inside a workload are not the workload's, and drop their rights before they do anything.
Result<WorkloadFacts> read_workload_facts(int cgroup_fd, std::uint32_t left_out = 0, std::uint32_t helper = 0);

}  // namespace namewall::agent
