#include "agent/matching_rules.h"

#include <algorithm>

#include "policy/escape.h"
#include "policy/host_rules.h"
#include "policy/policy_image.h"

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

bool take_all(const std::vector<Rule>& denies, const std::vector<Rule>& allows, const ExplainTarget& target) {
  const auto ports_of = [&](const std::vector<Rule>& rules) {
    PortSet ports;
    for (const Rule* rule : rules_covering(rules, target)) ports = ports.united(rule->endpoint.ports);
    return ports;
  };
  const PortSet given = ports_of(allows);
  return !given.empty() && given.minus(ports_of(denies)).empty();
}

bool has_port(const Rule& rule, const ExplainTarget& target) {
  return rule.endpoint.ports.contains(target.protocol, target.port);
}

bool has_port(const std::vector<Rule>& rules, const ExplainTarget& target) {
  const std::vector<const Rule*> covering = rules_covering(rules, target);
  return std::any_of(covering.begin(), covering.end(), [&](const Rule* rule) { return has_port(*rule, target); });
}

const Rule* rule_closing_loopback(const std::vector<Rule>& host_denies, const Address& address) {
  if (!is_loopback_destination(address)) return nullptr;
  const auto block = std::find_if(host_denies.begin(), host_denies.end(), [&](const Rule& rule) {
    return spares_own_loopback(rule) && std::get<Prefix>(rule.endpoint.host).contains(address);
  });
  return block == host_denies.end() ? nullptr : &*block;
}

std::string describe(const Rule& rule) {
  return quote_for_display(rule.endpoint.text) + " (" + rule.origin.to_string() + ")";
}

}  // namespace namewall::agent
