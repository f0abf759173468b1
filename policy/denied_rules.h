// Allow rules that a deny takes something from: the host's, a parent's, the policy's own.
#pragma once

#include <string>
#include <vector>

#include "policy/overlap.h"

namespace namewall {

// What is said of one allow rule. `lost`: by whom it can never be, "" where something of it is left.
struct RuleLoss {
  const Rule* rule = nullptr;
  std::string impossible;              // "it is denied by host.toml:12"
  std::vector<std::string> sentences;  // "port 8080 is denied by host.toml:12"
};

// Of rules that lose something, in their order. `is_exhausted` is set where the lists were too long to compare.
std::vector<RuleLoss> find_denied_rules(const OverlapInput& input, bool& is_exhausted);

}  // namespace namewall
