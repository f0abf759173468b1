// The key `spin` of a policy: a component of a Spin manifest whose list becomes rules of `allow`.
#pragma once

#include <vector>

#include "policy/config_reader.h"
#include "policy/load_context.h"
#include "policy/policy.h"

namespace namewall {

class SpinReader {
 public:
  SpinReader(ConfigReader& config, const LoadContext& context) : config_(config), context_(context) {}

  // Appends to `policy.allow` what is not there yet, and fills `policy.spin`. What is wrong with the manifest itself is
  // added to `elsewhere`.
  void read(const ConfigNode& node, Policy& policy, std::vector<Diagnostic>& elsewhere);

 private:
  ConfigReader& config_;
  const LoadContext& context_;
};

}  // namespace namewall
