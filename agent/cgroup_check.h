// What `namewall check` says of a policy's cgroups on this host: how each is held, and whom a guard would hit.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/workload_plan.h"

namespace namewall::agent {

struct CgroupCheck {
  std::string pattern;
  std::string held;     // "path", "template", "watched"
  std::string meaning;  // a clause
};

struct CgroupChecks {
  std::vector<CgroupCheck> cgroups;
  bool has_guard = false;
  // Cgroups that exist here and would get no sockets if they were new, sorted; none: this host shows no cgroups.
  std::optional<std::vector<std::string>> foreign;
};

// `policies`: all that are checked together, `policy` among them. `existing`: this host's cgroups, if it shows any.
CgroupChecks check_cgroups(const PlannedPolicy& policy, const std::vector<PlannedPolicy>& policies,
                           const std::optional<std::vector<ExistingCgroup>>& existing);

// "# ..." lines, one for each cgroup and one for the guard.
std::string to_comment(const CgroupChecks& checks);

}  // namespace namewall::agent
