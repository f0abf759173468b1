#include "agent/host/group_change.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "policy/group_file.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kShown = 5;

std::set<std::string> endpoints_of(const Group& group) {
  std::set<std::string> endpoints;
  for (const Rule& rule : group.rules) endpoints.insert(to_canonical_string(rule.endpoint));
  return endpoints;
}

std::vector<std::string> missing_in(const std::set<std::string>& other, const std::set<std::string>& all) {
  std::vector<std::string> missing;
  std::set_difference(all.begin(), all.end(), other.begin(), other.end(), std::back_inserter(missing));
  return missing;
}

std::string list_of(const std::vector<std::string>& endpoints) {
  std::string list;
  for (std::size_t i = 0; i < std::min(endpoints.size(), kShown); ++i) {
    list += (i == 0 ? "`" : ", `") + endpoints[i] + "`";
  }
  return endpoints.size() > kShown ? list + " and " + std::to_string(endpoints.size() - kShown) + " more" : list;
}

}  // namespace

bool are_same_groups(const std::vector<Group>& a, const std::vector<Group>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Group& x, const Group& y) {
    return x.name == y.name && x.version == y.version && endpoints_of(x) == endpoints_of(y);
  });
}

std::vector<GroupChange> changes_of_groups(const std::vector<Group>& older, const std::vector<Group>& newer) {
  std::vector<GroupChange> changes;
  for (const Group& group : newer) {
    if (find_group(newer, group.name) != &group) continue;
    const Group* before = find_group(older, group.name);
    if (before == nullptr) continue;
    const std::set<std::string> had = endpoints_of(*before), has = endpoints_of(group);
    if (had == has) continue;
    changes.push_back({group.name, before->version, group.version, missing_in(had, has), missing_in(has, had)});
  }
  return changes;
}

std::vector<std::string> sentences_of(const GroupChange& change, const Policy& policy) {
  std::vector<std::string> sentences;
  const bool has_versions = !change.before.empty() && !change.after.empty() && change.before != change.after;
  const auto tell = [&](const char* where, const std::vector<std::string>& opened,
                        const std::vector<std::string>& closed) {
    const std::string what =
        "group @" + change.name + (has_versions ? " " + change.before + " -> " + change.after : std::string()) + where;
    if (!opened.empty()) sentences.push_back(what + " opens " + list_of(opened));
    if (!closed.empty()) sentences.push_back(what + " closes " + list_of(closed));
  };
  if (uses_group(policy.allow, change.name)) tell("", change.come, change.gone);
  if (uses_group(policy.deny, change.name)) tell(" in `deny`", change.gone, change.come);
  return sentences;
}

bool uses_group(const std::vector<Rule>& rules, const std::string& name) {
  return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) { return rule.from == "@" + name; });
}

}  // namespace namewall::agent
