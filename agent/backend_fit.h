// What becomes of a compiled policy by what enforces it: bounds of its own, and what it cannot do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/policy_image.h"
#include "policy/result.h"

namespace namewall::agent {

// Of a policy for BPF: choose_learning (policy/learning.h); nullopt: this kernel is asked. Of one for nftables: kLimit
// where it does not fit the sets; no BPF program is loaded.
Result<void> fit_to_backend(PolicyImage& image, std::optional<bool> kernel_can_learn = std::nullopt);

// What nftables cannot do of what this policy asks, a sentence each without a full stop; none of one for BPF.
std::vector<std::string> limits_of_backend(const Policy& policy, const PolicyImage& image);

}  // namespace namewall::agent
