// Ordered rules, and the lists of allow and deny that they become, say the same of every address and port.
#include "agent/ordered_rules.h"

#include <gtest/gtest.h>

#include <random>

#include "policy/endpoint.h"

namespace namewall::agent {
namespace {

using Random = std::mt19937_64;

constexpr std::uint16_t kPorts = 4;

Prefix random_network(Random& random) {
  const auto length = static_cast<std::uint8_t>(24 + random() % 7);
  return Prefix(Address::v4({10, 0, 0, static_cast<std::uint8_t>(random())}), length, true);
}

PortSet random_ports(Random& random) {
  if (random() % 3 == 0) return PortSet::all();
  const auto first = static_cast<std::uint16_t>(1 + random() % kPorts);
  const auto last = static_cast<std::uint16_t>(first + random() % 2);
  return PortSet({{random() % 2 == 0 ? Protocol::kTcp : Protocol::kUdp, Port{first}, Port{last}}});
}

bool first_match_accepts(const std::vector<OrderedRule>& rules, const Address& address, Protocol protocol, Port port) {
  for (const OrderedRule& rule : rules) {
    if (!rule.ports.contains(protocol, port)) continue;
    for (const auto& peer : rule.peers) {
      if (std::get<Prefix>(peer.host).contains(address)) return rule.accepts;
    }
  }
  return false;
}

bool has_rule(const std::vector<Endpoint>& endpoints, const Address& address, Protocol protocol, Port port) {
  return std::any_of(endpoints.begin(), endpoints.end(), [&](const Endpoint& endpoint) {
    return endpoint.ports.contains(protocol, port) && std::get<Prefix>(endpoint.host).contains(address);
  });
}

std::vector<Endpoint> parsed(const std::vector<ImportedRule>& rules, EndpointUse use) {
  std::vector<Endpoint> out;
  for (const ImportedRule& rule : rules) out.push_back(*parse_endpoint(rule.endpoint, use));
  return out;
}

TEST(OrderedRules, MeanTheSameWhereADenialAlwaysWins) {
  const ConfigNode nowhere;
  const ImportNode node{&nowhere, "x"};
  Random random(20261122);
  std::size_t denials = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<OrderedRule> rules(1 + random() % 6);
    for (OrderedRule& rule : rules) {
      rule = {random() % 2 == 0,
              {{random_network(random), node}, {random_network(random), node}},
              random_ports(random),
              node};
    }
    ImportedPolicy policy;
    ImportDocument document("x", policy);
    import_ordered_rules(document, rules, false);
    ASSERT_TRUE(policy.ok());
    denials += policy.deny.size();
    const auto allow = parsed(policy.allow, EndpointUse::kAllow);
    const auto deny = parsed(policy.deny, EndpointUse::kDeny);
    for (unsigned last = 0; last < 256; last += 3) {
      const Address address = Address::v4({10, 0, 0, static_cast<std::uint8_t>(last)});
      for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
        for (std::uint16_t number = 0; number <= kPorts; ++number) {
          const Port port{number};
          if ((protocol == Protocol::kIcmp) != (number == 0)) continue;
          const bool native = has_rule(allow, address, protocol, port) && !has_rule(deny, address, protocol, port);
          ASSERT_EQ(native, first_match_accepts(rules, address, protocol, port))
              << "round " << round << " " << address.to_string() << " " << to_string(protocol) << " " << number << "\n"
              << to_toml(policy);
        }
      }
    }
  }
  EXPECT_GT(denials, 100u);
}

}  // namespace
}  // namespace namewall::agent
