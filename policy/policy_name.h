// How policies are called: lower-case letters, digits, `.`, `_`, `-`; the first is a letter or digit; at most 63.
#pragma once

#include <string_view>

namespace namewall {

bool is_policy_name(std::string_view name);

}  // namespace namewall
