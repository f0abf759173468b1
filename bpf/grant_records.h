// What one workload has learned and what happened to it, as values for user space.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bpf/abi.h"
#include "bpf/workload_tables.h"
#include "policy/backend.h"
#include "policy/policy_image.h"
#include "policy/result.h"

namespace namewall::bpf {

// Names that nobody has used under the policy in force are judged by `image`; without one they count as not granted.
Result<std::vector<GrantRecord>> read_grant_records(const WorkloadTables& tables, const nw_workload& workload,
                                                    const PolicyImage* image);

Counters to_counters(const nw_stats& stats);

}  // namespace namewall::bpf
