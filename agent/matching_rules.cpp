#include "agent/matching_rules.h"

#include <algorithm>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

bool covers(const Host& host, const ExplainTarget& target) {
  if (std::holds_alternative<AnyHost>(host)) return true;
  if (const auto* name = std::get_if<DomainName>(&target.host)) {
    const auto* pattern = std::get_if<NamePattern>(&host);
    return pattern != nullptr && pattern->matches(*name);
  }
  const auto* prefix = std::get_if<Prefix>(&host);
  return prefix != nullptr && prefix->contains(std::get<Address>(target.host));
}

int prefix_length(const Rule* rule) {
  const auto* prefix = std::get_if<Prefix>(&rule->endpoint.host);
  return prefix == nullptr ? -1 : prefix->length();
}

}  // namespace

std::vector<const Rule*> rules_covering(const std::vector<Rule>& rules, const ExplainTarget& target) {
  std::vector<const Rule*> covering;
  for (const Rule& rule : rules) {
    if (covers(rule.endpoint.host, target)) covering.push_back(&rule);
  }
  std::stable_sort(covering.begin(), covering.end(),
                   [](const Rule* a, const Rule* b) { return prefix_length(a) > prefix_length(b); });
  return covering;
}

bool has_port(const Rule& rule, const ExplainTarget& target) {
  return rule.endpoint.ports.contains(target.protocol, target.port);
}

std::string describe(const Rule& rule) {
  return quote_for_display(rule.endpoint.text) + " (" + rule.origin.to_string() + ")";
}

}  // namespace namewall::agent
