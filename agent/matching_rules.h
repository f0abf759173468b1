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

bool has_port(const Rule& rule, const ExplainTarget& target);

// "`https://github.com` (builder.toml:4:12)"
std::string describe(const Rule& rule);

}  // namespace namewall::agent
