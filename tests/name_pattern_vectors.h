// Vectors of name patterns: an object with `match` entries {dialect, pattern, name, match} and `validity` entries
// {dialect, field, pattern, valid}; dialects cilium, npep133, native.
#pragma once

#include "tests/vector_reader.h"

namespace namewall {

bool are_name_pattern_vectors(const nlohmann::json& file);
Result<VectorOutcome> run_name_pattern_vectors(const nlohmann::json& file);

}  // namespace namewall
