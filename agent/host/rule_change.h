// A policy with rules added and removed. Pure.
#pragma once

#include <string>

#include "agent/host/host.h"
#include "policy/policy.h"
#include "policy/result.h"

namespace namewall::agent {

// The changed policy as canonical TOML, to be loaded and compiled like any other. Rules to remove are named as they
// were written, or in canonical form. kInvalid: an added rule does not parse; kNotFound: a rule to remove is not there.
// Every mistake, a line each.
Result<std::string> apply_rule_change(const Policy& policy, const RuleChange& change);

}  // namespace namewall::agent
