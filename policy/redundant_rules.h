// Rules of a policy that change nothing: others say as much, or there is nothing for them to take away.
#pragma once

#include <string>
#include <vector>

#include "policy/overlap.h"

namespace namewall {

struct RedundantRule {
  const Rule* rule = nullptr;
  std::string sentence;  // "changes nothing: `https://*.example.com` (builder.toml:4) allows it already"
};

// Of rules that are written as they are; `allow` first.
std::vector<RedundantRule> find_redundant_rules(const OverlapInput& input, bool& is_exhausted);

}  // namespace namewall
