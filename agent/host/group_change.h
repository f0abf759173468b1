// What a new version of a group opens and closes in the policies that name it. Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/policy.h"

namespace namewall::agent {

struct GroupChange {
  std::string name;                     // without the "@"
  std::string before, after;            // versions; "" of the operator's own
  std::vector<std::string> come, gone;  // endpoints in canonical form
};

bool are_same_groups(const std::vector<Group>& a, const std::vector<Group>& b);

// Of groups that are in both; of several of one name the first counts.
std::vector<GroupChange> changes_of_groups(const std::vector<Group>& older, const std::vector<Group>& newer);

// "group @npm 3 -> 4 opens `tcp://a.example:443`", "... closes ...", for the lists of the policy that name the group;
// in `deny` what is gone opens.
std::vector<std::string> sentences_of(const GroupChange& change, const Policy& policy);

// Those that the rules of a policy came from.
bool uses_group(const std::vector<Rule>& rules, const std::string& name);

}  // namespace namewall::agent
