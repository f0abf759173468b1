// What a policy expects of itself ([[expect]]): judged by its own rules and the host's. A name is judged as if it had
// been looked up and had a public answer. Pure.
#pragma once

#include <vector>

#include "policy/diagnostic.h"
#include "policy/policy_image.h"

namespace namewall::agent {

// An error for each that does not hold, or whose target is none. `image`: of both.
std::vector<Diagnostic> failed_expectations(const Policy& policy, const HostPolicy& host, const PolicyImage& image);

}  // namespace namewall::agent
