// Rules that change nothing: without them the policy decides everything alike. Pure.
#pragma once

#include <cstddef>
#include <vector>

#include "policy/policy.h"
#include "policy/resolv_conf.h"

namespace namewall::agent {

struct DeadRule {
  const Rule* rule = nullptr;
  const Rule* decided_by = nullptr;  // one whose going would bring it to life; nullptr: several together
};

inline constexpr std::size_t kMaxRulesExamined = 256;  // of larger policies nothing is said

// Of `allow` and `deny`; the pointers are into `policy` and `host`.
std::vector<DeadRule> find_dead_rules(const Policy& policy, const HostPolicy& host, const ResolvConf& system);

}  // namespace namewall::agent
