// What a policy below others asks for in vain: all above must permit it. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "policy/policy.h"
#include "policy/policy_image.h"

namespace namewall {

// One policy above: a workload's, with what the host denies it.
struct LevelAbove {
  std::string name;  // "workload builder"
  const Policy* policy = nullptr;
  const PolicyImage* image = nullptr;  // of that policy
};

// A sentence for each rule of `allow` of which a level above permits nothing, or less than all of its ports. Exact
// names and addresses are judged as the level's verdict does; of a pattern or a prefix it is said that something is
// left as long as an allow rule above may match something of it.
std::vector<std::string> find_without_effect(const std::vector<Rule>& allow, std::span<const LevelAbove> above);

inline constexpr std::size_t kMaxNarrowingWork = 200'000;  // rules compared; what is left is said in one sentence

// Whether some name matches both.
bool may_meet(const NamePattern& a, const NamePattern& b);

}  // namespace namewall
