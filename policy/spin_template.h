// Spin's templates: "https://{{ host }}:8080".
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "policy/result.h"

namespace namewall {

using SpinVariables = std::map<std::string, std::string, std::less<>>;

// Error (kInvalid): a `{{` without `}}`.
Result<bool> is_spin_template(std::string_view text);

// With the variables put in. Errors: kInvalid, a `{{` without `}}`, or too long then; kNotFound, a variable without a
// value: its name.
Result<std::string> fill_spin_template(std::string_view text, const SpinVariables& variables);

}  // namespace namewall
