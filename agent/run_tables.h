// Runs that nftables enforces: each has a table of its own, "namewall-run-<pid>", and an NFLOG group of its own.
#pragma once

#include "agent/run_backend.h"

namespace namewall::agent {

// As arm_run(). Tables of runs whose cgroup is gone are removed first.
Result<std::unique_ptr<RunBackend>> arm_by_table(int cgroup_fd, const std::string& cgroup, const PolicyImage& image,
                                                 std::uint64_t own_netns);

}  // namespace namewall::agent
