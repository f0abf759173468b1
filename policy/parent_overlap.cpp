#include "policy/parent_overlap.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "policy/cgroup_pattern.h"
#include "policy/endpoint_host.h"
#include "policy/host_rules.h"
#include "policy/label_glob.h"
#include "policy/overlap_words.h"
#include "policy/pattern_cover.h"
#include "policy/rule_index.h"

namespace namewall {
namespace {

constexpr std::size_t kShownParts = 3;

std::vector<const Rule*> allow_rules(const Policy& policy) {
  std::vector<const Rule*> rules;
  for (const Rule& rule : policy.allow) rules.push_back(&rule);
  return rules;
}

class Parent {
 public:
  explicit Parent(const Policy& policy) : policy_(policy), index_(allow_rules(policy)) {}

  void examine(const Rule& rule, RuleLoss& loss) const {
    PortSet permitted;
    PortSet permitted_private;
    index_.each_covering(rule.endpoint.host, [&](const Rule& allow) {
      if (!allow_covers(allow.endpoint.host, rule.endpoint.host)) return true;
      permitted = permitted.united(allow.endpoint.ports);
      if (allow.endpoint.permits_private) permitted_private = permitted_private.united(allow.endpoint.ports);
      return true;
    });
    const PortSet missing = rule.endpoint.ports.minus(permitted);
    if (!missing.empty()) return examine_missing(rule, missing, loss);
    const bool is_name = std::holds_alternative<NamePattern>(rule.endpoint.host);
    if (is_name && rule.endpoint.permits_private && rule.endpoint.ports.intersected(permitted_private).empty()) {
      loss.sentences.push_back("private answers are not permitted by " + file());
    }
  }

  PortSet missing_listen(const PortSet& listen) const { return listen.minus(policy_.listen); }
  const std::string& file() const { return policy_.origin.file; }
  bool is_exhausted() const { return index_.is_exhausted(); }

 private:
  void examine_missing(const Rule& rule, const PortSet& missing, RuleLoss& loss) const {
    std::vector<std::string> parts;
    PortSet of_parts;
    index_.each_within(rule.endpoint.host, [&](const Rule& allow) {
      const PortSet ports = allow.endpoint.ports.intersected(missing);
      if (ports.empty()) return true;
      of_parts = of_parts.united(ports);
      parts.push_back("`" + to_string(allow.endpoint.host) + "`");
      return true;
    });
    const PortSet nowhere = missing.minus(of_parts);
    if (parts.empty() && nowhere == rule.endpoint.ports) {
      if (index_.has_meeting(rule.endpoint.host, nowhere)) return;  // of some names, maybe
      if (learns_addresses(rule, nowhere)) {
        loss.sentences.push_back("no address rule of " + file() + " permits it; an answer that it learns may");
      } else {
        loss.impossible = "nothing in " + file() + " permits it";
      }
      return;
    }
    if (!parts.empty()) {
      loss.sentences.push_back(file() + " permits only " + join_some(parts, kShownParts) + " of it");
    }
    if (!nowhere.empty() && !index_.has_meeting(rule.endpoint.host, nowhere)) {
      const std::string words = port_words(nowhere, rule.endpoint.ports);
      loss.sentences.push_back(words + " " + verb_for(words) + " not permitted by " + file());
    }
  }

  // An address is also permitted where the parent learns it for a name.
  bool learns_addresses(const Rule& rule, const PortSet& ports) const {
    if (!std::holds_alternative<Prefix>(rule.endpoint.host)) return false;
    return std::any_of(policy_.allow.begin(), policy_.allow.end(), [&](const Rule& allow) {
      return std::holds_alternative<NamePattern>(allow.endpoint.host) &&
             !allow.endpoint.ports.intersected(ports).empty();
    });
  }

  const Policy& policy_;
  RuleIndex index_;
};

std::vector<std::string_view> components_of(std::string_view path) {
  std::vector<std::string_view> components;
  for (std::size_t at = 1; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    components.push_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  return components;
}

// Whether each path of `child` is below one of `parent`.
bool holds_all_of(std::string_view parent, std::string_view child) {
  const auto above = components_of(parent), below = components_of(child);
  return above.size() < below.size() && std::equal(above.begin(), above.end(), below.begin(), label_glob_matches);
}

}  // namespace

std::vector<RuleLoss> find_unpermitted_rules(const OverlapInput& input, bool& is_exhausted) {
  std::vector<RuleLoss> losses;
  std::vector<Parent> parents;
  for (const Policy* parent : input.parents) {
    if (parent->mode != Mode::kAudit) parents.emplace_back(*parent);
  }
  if (parents.empty()) return losses;
  for (const Rule& rule : input.policy.allow) {
    RuleLoss loss{&rule, "", {}};
    for (const Parent& parent : parents) parent.examine(rule, loss);
    if (!loss.impossible.empty() || !loss.sentences.empty()) losses.push_back(std::move(loss));
  }
  for (const Parent& parent : parents) is_exhausted = is_exhausted || parent.is_exhausted();
  return losses;
}

std::vector<std::string> find_unpermitted_listening(const OverlapInput& input) {
  std::vector<std::string> sentences;
  const PortSet& listen = input.policy.listen;
  if (listen.empty()) return sentences;
  if (!may_listen(input.host, input.policy.name)) {
    sentences.push_back("`listen` cannot be satisfied: listening is denied by " +
                        place_of(input.host.listen_limit.origin));
    return sentences;
  }
  for (const Policy* parent : input.parents) {
    if (parent->mode == Mode::kAudit) continue;
    const PortSet missing = listen.minus(parent->listen);
    if (missing.empty()) continue;
    const std::string words = port_words(missing, listen);
    sentences.push_back("`listen`: " + words + " " + verb_for(words) + " not permitted by " + parent->origin.file);
  }
  return sentences;
}

std::vector<std::vector<const Policy*>> find_parents(const std::vector<const Policy*>& policies) {
  // By the part without wildcards: what is above a path is found by the path's own beginnings.
  std::unordered_map<std::string, std::vector<std::pair<const Policy*, std::string>>> by_fixed_part;
  for (const Policy* policy : policies) {
    for (const std::string& text : policy->cgroups) {
      if (const auto pattern = CgroupPattern::parse(text)) {
        by_fixed_part[pattern->fixed_part()].emplace_back(policy, text);
      }
    }
  }
  const auto parents_of = [&](const std::string& cgroup) {
    std::vector<const Policy*> found;
    const auto look = [&](const std::string& beginning) {
      const auto here = by_fixed_part.find(beginning);
      if (here == by_fixed_part.end()) return;
      for (const auto& [policy, text] : here->second) {
        if (holds_all_of(text, cgroup)) found.push_back(policy);
      }
    };
    look("/");
    for (std::size_t slash = cgroup.find('/', 1); slash != std::string::npos; slash = cgroup.find('/', slash + 1)) {
      look(cgroup.substr(0, slash));
    }
    return found;
  };
  std::vector<std::vector<const Policy*>> all;
  for (const Policy* policy : policies) {
    std::vector<const Policy*> parents;  // of every cgroup so far
    for (std::size_t i = 0; i < policy->cgroups.size(); ++i) {
      const std::vector<const Policy*> found = parents_of(policy->cgroups[i]);
      const auto is_found = [&](const Policy* parent) {
        return parent != policy && std::find(found.begin(), found.end(), parent) != found.end();
      };
      std::vector<const Policy*> both;
      for (const Policy* parent : i == 0 ? found : parents) {
        if (is_found(parent) && std::find(both.begin(), both.end(), parent) == both.end()) both.push_back(parent);
      }
      parents = std::move(both);
    }
    all.push_back(std::move(parents));
  }
  return all;
}

}  // namespace namewall
