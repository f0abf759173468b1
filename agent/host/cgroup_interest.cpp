#include "agent/host/cgroup_interest.h"

#include <algorithm>
#include <string_view>

namespace namewall::agent {

CgroupInterest::CgroupInterest(const std::vector<CgroupPattern>& patterns) {
  for (const CgroupPattern& pattern : patterns) {
    if (!pattern.is_exact()) {
      globs_.push_back(pattern);
      continue;
    }
    exact_.try_emplace(pattern.text(), false);
    for (std::string_view above = pattern.text(); above != "/";) {
      above = parent_cgroup(above);
      exact_[std::string(above)] = true;
    }
  }
}

bool CgroupInterest::includes(const std::string& path) const {
  return path == "/" || exact_.contains(path) ||
         std::any_of(globs_.begin(), globs_.end(), [&](const CgroupPattern& glob) { return glob.leads_through(path); });
}

bool CgroupInterest::includes_children_of(const std::string& path) const {
  const auto exact = exact_.find(path);
  return (exact != exact_.end() && exact->second) ||
         std::any_of(globs_.begin(), globs_.end(),
                     [&](const CgroupPattern& glob) { return glob.leads_through(path) && !glob.matches(path); });
}

}  // namespace namewall::agent
