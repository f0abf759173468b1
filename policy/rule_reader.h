// `allow` and `deny` lists: of files, of the host's policy, of arguments.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/config_reader.h"
#include "policy/load_context.h"
#include "policy/policy.h"

namespace namewall {

// Reports what is no endpoint, and warns of a rule that is there twice or that looks like another.
class RuleReader {
 public:
  RuleReader(ConfigReader& config, EndpointUse use) : config_(config), use_(use) {}
  void add(std::string_view text, Position position, std::vector<Rule>& rules);

 private:
  ConfigReader& config_;
  EndpointUse use_;
  std::map<std::string, Origin> seen_;  // by canonical form
};

// The list at `key`: endpoints as strings, or as tables (rule_table.h).
void read_rules(ConfigReader& config, const ConfigNode& node, std::string_view key, EndpointUse use,
                std::vector<Rule>& rules, const LoadContext& context = {});

}  // namespace namewall
