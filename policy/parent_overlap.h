// Allow rules that no rule of a parent's policy permits: in nested cgroups every level has to.
#pragma once

#include <vector>

#include "policy/denied_rules.h"

namespace namewall {

// Of rules that lose something. A parent in audit mode refuses nothing and is left out.
std::vector<RuleLoss> find_unpermitted_rules(const OverlapInput& input, bool& is_exhausted);
// The ports of `listen` that a parent, or the host, does not have: a sentence each.
std::vector<std::string> find_unpermitted_listening(const OverlapInput& input);

}  // namespace namewall
