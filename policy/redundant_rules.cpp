#include "policy/redundant_rules.h"

#include <algorithm>

#include "policy/overlap_words.h"
#include "policy/pattern_cover.h"
#include "policy/rule_index.h"

namespace namewall {
namespace {

std::vector<const Rule*> pointers_to(const std::vector<Rule>& rules) {
  std::vector<const Rule*> pointers;
  for (const Rule& rule : rules) pointers.push_back(&rule);
  return pointers;
}

// Of rules with one host: the one that is written first, or has more ports. Else they would make each other redundant.
bool goes_before(const Rule& other, const Rule& rule) {
  if (!(other.endpoint.host == rule.endpoint.host)) return true;
  const PortSet &more = other.endpoint.ports, &ports = rule.endpoint.ports;
  if (ports.minus(more).empty() && !more.minus(ports).empty()) return true;
  return &other < &rule && !ports.minus(more).empty();
}

class Redundant {
 public:
  explicit Redundant(const OverlapInput& input)
      : policy_(input.policy), allow_(pointers_to(policy_.allow)), deny_(denies_of(input)) {}

  void examine_allow(const Rule& rule) {
    const auto* pattern = std::get_if<NamePattern>(&rule.endpoint.host);
    const bool is_looked_up = rule.endpoint.resolved_by_agent ||
                              (policy_.dns.resolve == Resolve::kAgent && pattern != nullptr && pattern->is_exact());
    if (is_looked_up) return;
    const auto is_wider = [&](const Rule& other) {
      return allow_covers(other.endpoint.host, rule.endpoint.host) &&
             (other.endpoint.permits_private || !rule.endpoint.permits_private);
    };
    tell_if_covered(rule, allow_, is_wider, "allows", "allow");
  }

  void examine_deny(const Rule& rule) {
    // A deny of everything also keeps the question in, which several with some of the ports each do not.
    const bool is_whole = rule.endpoint.ports == PortSet::all();
    const auto is_wider = [&](const Rule& other) { return !is_whole || other.endpoint.ports == PortSet::all(); };
    if (tell_if_covered(rule, deny_, is_wider, "denies", "deny")) return;
    if (meets_an_allow(rule)) return;
    found_.push_back({&rule, "denies nothing that `allow` opens"});
  }

  std::vector<RedundantRule> take() { return std::move(found_); }
  bool is_exhausted() const { return allow_.is_exhausted() || deny_.is_exhausted(); }

 private:
  static std::vector<const Rule*> denies_of(const OverlapInput& input) {
    std::vector<const Rule*> rules = pointers_to(input.policy.deny);
    for (const Rule& rule : input.host.deny) rules.push_back(&rule);
    return rules;
  }

  template <typename IsWider>
  bool tell_if_covered(const Rule& rule, const RuleIndex& index, const IsWider& is_wider, const char* one,
                       const char* several) {
    PortSet left = rule.endpoint.ports;
    std::vector<std::string> by;
    index.each_covering(rule.endpoint.host, [&](const Rule& other) {
      if (&other == &rule || !is_wider(other) || !goes_before(other, rule)) return true;
      const PortSet rest = left.minus(other.endpoint.ports);
      if (rest == left) return true;
      by.push_back(in_quotes(other) + " (" + place_of(other) + ")");
      left = rest;
      return !left.empty();
    });
    if (!left.empty()) return false;
    found_.push_back(
        {&rule, "changes nothing: " + join_some(by, 3) + " " + (by.size() == 1 ? one : several) + " it already"});
    return true;
  }

  // An address may be the answer for any name.
  bool meets_an_allow(const Rule& rule) const {
    if (allow_.has_meeting(rule.endpoint.host, rule.endpoint.ports)) return true;
    if (!std::holds_alternative<Prefix>(rule.endpoint.host)) return false;
    return std::any_of(policy_.allow.begin(), policy_.allow.end(), [&](const Rule& allow) {
      return std::holds_alternative<NamePattern>(allow.endpoint.host) &&
             !allow.endpoint.ports.intersected(rule.endpoint.ports).empty();
    });
  }

  const Policy& policy_;
  RuleIndex allow_, deny_;
  std::vector<RedundantRule> found_;
};

}  // namespace

std::vector<RedundantRule> find_redundant_rules(const OverlapInput& input, bool& is_exhausted) {
  Redundant redundant(input);
  for (const Rule& rule : input.policy.allow) {
    if (rule.from.empty()) redundant.examine_allow(rule);
  }
  for (const Rule& rule : input.policy.deny) {
    if (rule.from.empty()) redundant.examine_deny(rule);
  }
  is_exhausted = is_exhausted || redundant.is_exhausted();
  return redundant.take();
}

}  // namespace namewall
