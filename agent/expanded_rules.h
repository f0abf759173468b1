// The rules that something else brought into a policy, a group or a manifest, for `check --expand`. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace namewall::agent {

struct ExpandedRule {
  std::string from;     // "@npm"
  std::string version;  // of a shipped group; "" else
  std::string list;     // "allow", "deny"
  std::string rule;     // canonical
  std::string place;    // file:line:column
};

// In the order of the lists.
std::vector<ExpandedRule> expand_rules(const Policy& policy, std::span<const Group> groups);

// "# @npm 4, allow:" and a line for each rule behind it.
std::string to_comment(const std::vector<ExpandedRule>& rules);

}  // namespace namewall::agent
