// Which cgroups should be armed with which policy, as a value; and the difference to what is armed. Pure: the folder's
// policies and the existing cgroups in, changes out.
//
// Exact paths beat globs. Globs of two policies that can meet are an error that names both files. A cgroup and one above
// it may both be workloads: both hold.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "policy/cgroup_pattern.h"
#include "policy/policy.h"

namespace namewall {

enum class UnarmedChildren { kWatch, kRefuse };

// One policy of the folder, ready to be used.
struct PlannedPolicy {
  std::string name;
  std::string file;
  std::string sha256;                   // of the canonical form together with host.toml's
  std::vector<CgroupPattern> cgroups;
  UnarmedChildren unarmed_children = UnarmedChildren::kWatch;
};

struct PlanError {
  std::string file, other_file;  // whose globs meet, or whose names are the same
  std::string sentence;
};
std::vector<PlanError> check_policies(const std::vector<PlannedPolicy>& policies);

struct ExistingCgroup {
  std::string path;
  std::uint64_t id = 0;
};

enum class HeldBy { kOwnPrograms, kTemplate, kTemplateRow, kGuard };

// What one cgroup should be.
struct WantedWorkload {
  std::string name;       // "builder", "builder:job-17"
  std::string cgroup;
  std::uint64_t cgroup_id = 0;
  std::string policy;
  HeldBy held_by = HeldBy::kOwnPrograms;
  friend bool operator==(const WantedWorkload&, const WantedWorkload&) = default;
};

// A template is wanted on the fixed part of every glob that is one, if it exists; kTemplateRow is a child of a template
// with an exact policy of its own (children without one need nothing: their template holds them). Sorted by path, parents
// first. A glob that is no template arms what matches; where its policy says kRefuse, a guard is wanted on its fixed
// part.
std::vector<WantedWorkload> plan_workloads(const std::vector<PlannedPolicy>& policies,
                                           const std::vector<ExistingCgroup>& cgroups);

// What one path should be, alone: for a cgroup that has just appeared.
std::vector<WantedWorkload> plan_cgroup(const std::vector<PlannedPolicy>& policies, const ExistingCgroup& cgroup);

// Foreign children that a guard would hit: paths below a guard's fixed part that nothing arms.
std::vector<std::string> find_foreign_children(const PlannedPolicy& policy, const std::vector<PlannedPolicy>& policies,
                                               const std::vector<ExistingCgroup>& cgroups);

}  // namespace namewall
