#include "agent/host/rule_change.h"

#include <algorithm>

#include "policy/canonical_form.h"
#include "policy/endpoint.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

void add_line(std::string& lines, const std::string& line) { lines += (lines.empty() ? "" : "\n") + line; }

void remove_rules(std::vector<Rule>& rules, const std::vector<std::string>& removed, const char* list,
                  std::string& missing) {
  for (const std::string& text : removed) {
    const auto is_it = [&](const Rule& rule) {
      return rule.endpoint.text == text || to_canonical_string(rule.endpoint) == text;
    };
    if (std::erase_if(rules, is_it) == 0) {
      add_line(missing, "`" + std::string(list) + "` has no rule " + quote_for_display(text));
    }
  }
}

void add_rules(std::vector<Rule>& rules, const std::vector<std::string>& added, EndpointUse use, std::string& errors) {
  for (const std::string& text : added) {
    auto endpoint = parse_endpoint(text, use);
    if (!endpoint) {
      add_line(errors, quote_for_display(text) + ": " + endpoint.error().message());
      continue;
    }
    const auto is_same = [&](const Rule& rule) {
      return to_canonical_string(rule.endpoint) == to_canonical_string(*endpoint);
    };
    if (std::none_of(rules.begin(), rules.end(), is_same)) rules.push_back({std::move(*endpoint), {}});
  }
}

}  // namespace

Result<std::string> apply_rule_change(const Policy& policy, const RuleChange& change) {
  Policy changed = policy;
  std::string missing, errors;
  remove_rules(changed.allow, change.remove_allow, "allow", missing);
  remove_rules(changed.deny, change.remove_deny, "deny", missing);
  add_rules(changed.allow, change.add_allow, EndpointUse::kAllow, errors);
  add_rules(changed.deny, change.add_deny, EndpointUse::kDeny, errors);
  if (!errors.empty()) return fail(ErrorKind::kInvalid, errors);
  if (!missing.empty()) return fail(ErrorKind::kNotFound, missing);
  return to_canonical_toml(changed);
}

}  // namespace namewall::agent
