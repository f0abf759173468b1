// What `namewall check --diff` prints. Pure.
#pragma once

#include <string>

#include "policy/policy_diff.h"

namespace namewall::agent {

std::string to_text(const PolicyDiff& diff);
std::string to_json(const PolicyDiff& diff);

}  // namespace namewall::agent
