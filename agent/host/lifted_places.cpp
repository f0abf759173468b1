#include "agent/host/lifted_places.h"

#include <algorithm>

namespace namewall::agent {

void LiftedPlaces::lift(const std::string& cgroup, const PolicyVersion& version) {
  by_cgroup_[cgroup] = {version.planned.name, version.text_sha256};
}

bool LiftedPlaces::contains(const std::string& cgroup, const PolicyVersion& version) const {
  const auto found = by_cgroup_.find(cgroup);
  return found != by_cgroup_.end() && found->second == LiftedPlace{version.planned.name, version.text_sha256};
}

bool LiftedPlaces::note_gone(const std::string& cgroup, const FolderSnapshot& folder) {
  const auto found = by_cgroup_.find(cgroup);
  if (found == by_cgroup_.end()) return false;
  const auto version = folder.find(found->second.policy);
  const bool is_written_out = version && std::any_of(version->planned.cgroups.begin(), version->planned.cgroups.end(),
                                                     [&](const CgroupPattern& pattern) {
                                                       return pattern.is_exact() && pattern.text() == cgroup;
                                                     });
  if (is_written_out) return false;
  by_cgroup_.erase(found);
  return true;
}

void LiftedPlaces::follow(const FolderSnapshot& folder) {
  std::erase_if(by_cgroup_, [&](const auto& entry) {
    const auto version = folder.find(entry.second.policy);
    return !version || version->text_sha256 != entry.second.policy_sha256;
  });
}

}  // namespace namewall::agent
