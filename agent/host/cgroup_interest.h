// Which paths of the cgroup tree matter to some patterns. Pure; quick also for ten thousand exact patterns.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "policy/cgroup_pattern.h"

namespace namewall::agent {

class CgroupInterest {
 public:
  CgroupInterest() = default;
  explicit CgroupInterest(const std::vector<CgroupPattern>& patterns);

  // It matches, or is above what may match. "/" always matters.
  bool includes(const std::string& path) const;
  // Something below it may match.
  bool includes_children_of(const std::string& path) const;

 private:
  std::unordered_map<std::string, bool> exact_;  // exact paths and all above them; true: above one
  std::vector<CgroupPattern> globs_;
};

}  // namespace namewall::agent
