// Policy images from rules as on the command line.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "policy/policy_image.h"
#include "policy/policy_loader.h"

namespace namewall::agent {

// With the resolver 127.0.0.53:53. `change` edits the policy before it is compiled.
inline PolicyImage image_of(const std::vector<std::string>& allow, const std::vector<std::string>& deny = {},
                            const std::function<void(Policy&)>& change = {}) {
  auto loaded = load_policy_arguments(allow, deny);
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    if (diagnostic.severity == Diagnostic::Severity::kError) ADD_FAILURE() << diagnostic.to_string();
  }
  Policy& policy = loaded.value;
  policy.dns.resolvers_from_system = policy.dns.search_from_system = false;
  policy.dns.resolvers = {{Address::v4({127, 0, 0, 53}), Port{53}}};
  if (change) change(policy);
  auto image = compile_policy(policy, HostPolicy{}, ResolvConf{});
  if (!image) ADD_FAILURE() << image.error().message();
  return image ? *image : PolicyImage{};
}

}  // namespace namewall::agent
