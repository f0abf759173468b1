#include "policy/denied_rules.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "policy/endpoint_host.h"
#include "policy/host_rules.h"
#include "policy/overlap_words.h"
#include "policy/private_names.h"
#include "policy/rule_index.h"

namespace namewall {
namespace {

constexpr std::size_t kShownParts = 3;

struct Denies {
  std::vector<const Rule*> rules;
  std::set<const Rule*> own;      // the policy's
  std::set<const Rule*> sparing;  // spare the resolvers
};

Denies collect(const OverlapInput& input) {
  Denies denies;
  for (const Rule& rule : input.host.deny) denies.rules.push_back(&rule);
  for (const HostBlock& block : input.host.blocks) {
    if (!holds(block, input.policy.name)) continue;
    denies.rules.push_back(&block.rule);
    denies.sparing.insert(&block.rule);
  }
  for (const Policy* parent : input.parents) {
    for (const Rule& rule : parent->deny) denies.rules.push_back(&rule);
  }
  for (const Rule& rule : input.policy.deny) {
    denies.rules.push_back(&rule);
    denies.own.insert(&rule);
  }
  return denies;
}

class DeniedRules {
 public:
  explicit DeniedRules(const OverlapInput& input) : input_(input), denies_(collect(input)), index_(denies_.rules) {
    look_at_private_networks();
  }

  RuleLoss examine(const Rule& rule) const {
    RuleLoss loss{&rule, "", {}};
    PortSet lost;
    std::vector<std::pair<const Rule*, PortSet>> deniers;
    index_.each_covering(rule.endpoint.host, [&](const Rule& deny) {
      const PortSet more = ports_of(deny, rule).minus(lost);
      if (!more.empty()) deniers.emplace_back(&deny, more);
      lost = lost.united(more);
      return true;
    });
    const PortSet left = rule.endpoint.ports.minus(lost);
    if (left.empty()) {
      std::vector<std::string> places;
      for (const auto& [deny, ports] : deniers) places.push_back(place_of(*deny));
      loss.impossible = "it is denied by " + join_some(places, kShownParts);
      return loss;
    }
    for (const auto& [deny, ports] : deniers) {
      const std::string words = port_words(ports, rule.endpoint.ports);
      loss.sentences.push_back(words + " " + verb_for(words) + " denied by " + place_of(*deny));
    }
    add_parts(rule, left, loss);
    add_private_answers(rule, left, loss);
    return loss;
  }

  bool is_exhausted() const { return index_.is_exhausted(); }

 private:
  // What a deny takes from an allow rule whose host it covers, or a part of it.
  PortSet ports_of(const Rule& deny, const Rule& rule) const {
    const PortSet common = deny.endpoint.ports.intersected(rule.endpoint.ports);
    const auto* prefix = std::get_if<Prefix>(&rule.endpoint.host);
    if (prefix == nullptr || !denies_.sparing.contains(&deny)) return common;
    std::vector<PortRange> spared;
    for (const ResolverAddress& resolver : input_.resolvers) {
      if (!(*prefix == Prefix::of(resolver.address))) continue;
      for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
        spared.push_back({protocol, resolver.port, resolver.port});
      }
    }
    return common.minus(PortSet(std::move(spared)));
  }

  // Names and addresses that denies narrower than the rule take from it, by where they are written.
  void add_parts(const Rule& rule, const PortSet& left, RuleLoss& loss) const {
    std::map<std::pair<std::string, std::string>, std::vector<std::string>> parts;  // by place and ports
    std::vector<std::pair<std::string, std::string>> order;
    index_.each_within(rule.endpoint.host, [&](const Rule& deny) {
      if (denies_.own.contains(&deny)) return true;
      const PortSet ports = ports_of(deny, rule).intersected(left);
      if (ports.empty()) return true;
      const std::string on = ports == left ? "" : " on " + port_words(ports, rule.endpoint.ports);
      auto& hosts = parts[{place_of(deny), on}];
      if (hosts.empty()) order.emplace_back(place_of(deny), on);
      hosts.push_back("`" + to_string(deny.endpoint.host) + "`");
      return true;
    });
    for (std::size_t i = 0; i < std::min(order.size(), kShownParts); ++i) {
      const std::vector<std::string>& hosts = parts[order[i]];
      loss.sentences.push_back(join_some(hosts, kShownParts) + order[i].second + (hosts.size() == 1 ? " is" : " are") +
                               " denied by " + order[i].first);
    }
    if (order.size() > kShownParts) {
      loss.sentences.push_back(std::to_string(order.size() - kShownParts) + " more parts of it are denied");
    }
  }

  void look_at_private_networks() {
    private_lost_ = PortSet::all();
    for (const Prefix& network : private_networks()) {
      PortSet lost;
      index_.each_covering(network, [&](const Rule& deny) {
        if (denies_.own.contains(&deny) || std::holds_alternative<AnyHost>(deny.endpoint.host)) return true;
        if (!deny.endpoint.ports.minus(lost).empty()) private_deniers_.insert(place_of(deny));
        lost = lost.united(deny.endpoint.ports);
        return true;
      });
      private_lost_ = private_lost_.intersected(lost);
    }
  }

  // `?private` where every private network is denied.
  void add_private_answers(const Rule& rule, const PortSet& left, RuleLoss& loss) const {
    const auto* pattern = std::get_if<NamePattern>(&rule.endpoint.host);
    if (pattern == nullptr || !rule.endpoint.permits_private || !left.minus(private_lost_).empty()) return;
    const std::vector<std::string> places(private_deniers_.begin(), private_deniers_.end());
    const std::string by = "denied by " + join_some(places, kShownParts);
    if (has_only_private_answers(*pattern)) {
      loss.impossible = "the private addresses that it can have are " + by;
    } else {
      loss.sentences.push_back("private answers are " + by);
    }
  }

  const OverlapInput& input_;
  Denies denies_;
  RuleIndex index_;
  PortSet private_lost_;  // in every private network
  std::set<std::string> private_deniers_;
};

}  // namespace

std::vector<RuleLoss> find_denied_rules(const OverlapInput& input, bool& is_exhausted) {
  const DeniedRules denied(input);
  std::vector<RuleLoss> losses;
  for (const Rule& rule : input.policy.allow) {
    RuleLoss loss = denied.examine(rule);
    if (!loss.impossible.empty() || !loss.sentences.empty()) losses.push_back(std::move(loss));
  }
  is_exhausted = is_exhausted || denied.is_exhausted();
  return losses;
}

}  // namespace namewall
