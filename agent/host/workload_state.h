// The state of a workload in one word, and why, in sentences (host_view.h). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/host/workload_registry.h"

namespace namewall::agent {

// "failed", "adopted", "partial", "judging", "audit", "enforcing": the first that holds.
std::string_view state_of(const Workload& workload);

// `judging_obstacle`: why its older sockets could not be judged yet.
std::vector<std::string> why_of(const Workload& workload, const std::optional<std::string>& judging_obstacle);

}  // namespace namewall::agent
