#include "agent/expanded_rules.h"

#include "policy/group_file.h"

namespace namewall::agent {

std::vector<ExpandedRule> expand_rules(const Policy& policy, std::span<const Group> groups) {
  std::vector<ExpandedRule> expanded;
  const auto add = [&](const std::vector<Rule>& rules, const char* list) {
    for (const Rule& rule : rules) {
      if (rule.from.empty()) continue;
      const Group* group = rule.from.starts_with('@') ? find_group(groups, rule.from.substr(1)) : nullptr;
      expanded.push_back({rule.from, group != nullptr ? group->version : "", list, to_canonical_string(rule.endpoint),
                          rule.origin.to_string()});
    }
  };
  add(policy.allow, "allow");
  add(policy.deny, "deny");
  return expanded;
}

std::string to_comment(const std::vector<ExpandedRule>& rules) {
  std::string text;
  std::string heading;
  for (const ExpandedRule& rule : rules) {
    const std::string wanted = rule.from + (rule.version.empty() ? "" : " " + rule.version) + ", " + rule.list + ":";
    if (wanted != heading) text += "# " + wanted + "\n";
    heading = wanted;
    text += "#   " + rule.rule + " (" + rule.place + ")\n";
  }
  return text;
}

}  // namespace namewall::agent
