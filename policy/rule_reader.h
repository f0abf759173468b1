// `allow` and `deny` lists: of files, of the host's policy, of arguments.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/config_reader.h"
#include "policy/load_context.h"
#include "policy/policy.h"

namespace namewall {

// Reports what is no endpoint and no group, and warns of a rule that is there twice or that looks like another. The
// rules of a group ("@npm") take the place of its name, those left out that are there already.
class RuleReader {
 public:
  RuleReader(ConfigReader& config, EndpointUse use, LoadContext context = {})
      : config_(config), use_(use), context_(std::move(context)) {}
  void add(std::string_view text, Position position, std::vector<Rule>& rules);

 private:
  void add_group(std::string_view name, Position position, std::vector<Rule>& rules);

  ConfigReader& config_;
  EndpointUse use_;
  LoadContext context_;
  std::map<std::string, Origin> seen_;  // by canonical form
  std::set<std::string, std::less<>> groups_;
};

// The list at `key`: endpoints as strings, or as tables (rule_table.h).
void read_rules(ConfigReader& config, const ConfigNode& node, std::string_view key, EndpointUse use,
                std::vector<Rule>& rules, const LoadContext& context = {});

}  // namespace namewall
