// Who asks the proxy: a workload, with the workloads that it is nested in. Each level judges the question and learns
// from the answer into its own tables; the first that refuses decides.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "policy/policy_image.h"

namespace namewall::agent {

struct AskerLevel {
  std::uint64_t cgroup_id = 0;  // of the workload
  std::string workload;         // its name, for texts and events
  std::shared_ptr<const PolicyImage> image;
  std::uint64_t image_hash = 0;  // hash_of(*image): lessons of another policy than the one in force are noticed by it
};

// Innermost first; never empty. Shared by the questions of one workload until its policy or nesting changes.
using Asker = std::shared_ptr<const std::vector<AskerLevel>>;

}  // namespace namewall::agent
