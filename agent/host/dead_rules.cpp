#include "agent/host/dead_rules.h"

#include <algorithm>
#include <optional>

#include "policy/image_change.h"
#include "policy/policy_image.h"

namespace namewall::agent {
namespace {

// The policy as an image without these rules, which are found by their addresses.
class Variations {
 public:
  Variations(const Policy& policy, const HostPolicy& host, const ResolvConf& system)
      : policy_(policy), host_(host), system_(system) {}

  std::optional<PolicyImage> without(const Rule* first, const Rule* second = nullptr) const {
    const auto rest = [&](const std::vector<Rule>& rules) {
      std::vector<Rule> kept;
      for (const Rule& rule : rules) {
        if (&rule != first && &rule != second) kept.push_back(rule);
      }
      return kept;
    };
    Policy policy = policy_;
    policy.allow = rest(policy_.allow);
    policy.deny = rest(policy_.deny);
    HostPolicy host = host_;
    host.deny = rest(host_.deny);
    auto image = compile_policy(policy, host, system_);
    if (!image) return std::nullopt;
    return std::move(*image);
  }

  // Whether `rule` changes anything where `other` is gone.
  bool is_alive(const Rule* rule, const Rule* other = nullptr) const {
    const auto with = without(other);
    const auto without_it = without(rule, other);
    return !with || !without_it || !changes_between(*without_it, *with).empty();
  }

 private:
  const Policy& policy_;
  const HostPolicy& host_;
  const ResolvConf& system_;
};

}  // namespace

std::vector<DeadRule> find_dead_rules(const Policy& policy, const HostPolicy& host, const ResolvConf& system) {
  std::vector<const Rule*> own, all;
  for (const auto* rules : {&policy.allow, &policy.deny}) {
    for (const Rule& rule : *rules) own.push_back(&rule);
  }
  all = own;
  for (const Rule& rule : host.deny) all.push_back(&rule);
  std::vector<DeadRule> dead;
  if (all.size() > kMaxRulesExamined) return dead;
  const Variations variations(policy, host, system);
  for (const Rule* rule : own) {
    if (variations.is_alive(rule)) continue;
    const auto decider = std::find_if(
        all.begin(), all.end(), [&](const Rule* other) { return other != rule && variations.is_alive(rule, other); });
    dead.push_back({rule, decider == all.end() ? nullptr : *decider});
  }
  return dead;
}

}  // namespace namewall::agent
