// Allow rules that open more, or less, than whoever wrote them may have meant.
#pragma once

#include <string>
#include <vector>

#include "policy/overlap.h"

namespace namewall {

// What is surprising about a rule; "" if nothing is. `host_private`: patterns whose names may have private answers.
std::string describe_surprise(const Rule& rule, const OverlapInput& input);

}  // namespace namewall
