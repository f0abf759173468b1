// The canonical form of a policy, which `check` prints and `run --save` writes: every key spelled out, rules in full.
// Loading it gives an equal policy, if the policy has a name.
#pragma once

#include <string>
#include <string_view>

#include "policy/policy.h"

namespace namewall {

std::string to_canonical_toml(const Policy& policy);
// The same as JSON.
std::string to_canonical_json(const Policy& policy);

// The words of the language for the values of an enumeration.
std::string_view word_of(Backend backend);
std::string_view word_of(Mode mode);
std::string_view word_of(UnarmedChildren unarmed_children);
std::string_view word_of(Loopback loopback);
std::string_view word_of(Learn learn);
std::string_view word_of(Retain retain);
std::string_view word_of(RefuseWith refuse_with);

}  // namespace namewall
