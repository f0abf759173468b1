// Which rules of a policy speak of a name or address: for people, who want the file and line. The decision itself is
// the policy image's.
#pragma once

#include <string>
#include <vector>

#include "agent/explain_target.h"
#include "policy/policy.h"

namespace namewall::agent {

// The rules whose host covers the target, whatever their ports; of addresses the longest prefix first.
std::vector<const Rule*> rules_covering(const std::vector<Rule>& rules, const ExplainTarget& target);

// Whether `denies` have every port that `allows` give the target; false where they give none.
bool take_all(const std::vector<Rule>& denies, const std::vector<Rule>& allows, const ExplainTarget& target);

bool has_port(const Rule& rule, const ExplainTarget& target);
bool has_port(const std::vector<Rule>& rules, const ExplainTarget& target);  // one that covers it

// The host's block that keeps a workload from what others serve at this loopback address; nullptr: none does.
const Rule* rule_closing_loopback(const std::vector<Rule>& host_denies, const Address& address);

// "`https://github.com` (builder.toml:4:12)"
std::string describe(const Rule& rule);

}  // namespace namewall::agent
