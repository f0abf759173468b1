// Reads policies: TOML, or the same structure as JSON. All mistakes of a file are reported at once, each with its
// position, what was found, what is accepted and, for a near miss, a suggestion. Nothing is applied from a file with
// an error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/canonical_form.h"
#include "policy/load_context.h"
#include "policy/loaded.h"
#include "policy/policy.h"

namespace namewall {

inline constexpr std::size_t kMaxRules = 100'000;  // of `allow` and `deny` together

Format format_of(std::string_view file_name, std::string_view text);  // by ".json", else by a leading '{', else TOML

// `file_name` is used in messages only. `own_name`: of a policy that does not say its name; "" demands one.
Loaded<Policy> load_policy(std::string_view text, Format format, std::string_view file_name,
                           std::string_view own_name = {}, const LoadContext& context = {});
// --allow / --deny arguments: origins "--allow" and "--deny". The policy has no name: whoever runs it gives it one.
Loaded<Policy> load_policy_arguments(const std::vector<std::string>& allow, const std::vector<std::string>& deny,
                                     const LoadContext& context = {});

}  // namespace namewall
