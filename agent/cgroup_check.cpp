#include "agent/cgroup_check.h"

#include <algorithm>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kShown = 5;

CgroupCheck check_pattern(const PlannedPolicy& policy, const std::vector<PlannedPolicy>& policies,
                          const CgroupPattern& pattern) {
  if (pattern.is_exact()) return {pattern.text(), "path", "one cgroup with all that is below it"};
  if (how_held(policies, policy, pattern) == HeldBy::kTemplate) {
    return {pattern.text(), "template", "each child is held from its first instruction"};
  }
  if (pattern.is_template()) {
    return {pattern.text(), "watched",
            "its parent is a workload itself, which holds a child until the daemon has armed it"};
  }
  return {pattern.text(), "watched",
          "a cgroup is held when the daemon has armed it, some milliseconds after it appears"};
}

}  // namespace

CgroupChecks check_cgroups(const PlannedPolicy& policy, const std::vector<PlannedPolicy>& policies,
                           const std::optional<std::vector<ExistingCgroup>>& existing) {
  CgroupChecks checks;
  for (const CgroupPattern& pattern : policy.cgroups)
    checks.cgroups.push_back(check_pattern(policy, policies, pattern));
  const auto is_watched = [](const CgroupCheck& check) { return check.held == "watched"; };
  checks.has_guard = policy.unarmed_children == UnarmedChildren::kRefuse &&
                     std::any_of(checks.cgroups.begin(), checks.cgroups.end(), is_watched);
  if (existing) checks.foreign = find_foreign_children(policy, policies, *existing);
  return checks;
}

std::string to_comment(const CgroupChecks& checks) {
  std::string text;
  for (const CgroupCheck& check : checks.cgroups) {
    text += "# cgroup " + escape_for_display(check.pattern) + ": " + check.held + ": " + check.meaning + "\n";
  }
  if (!checks.has_guard) return text;
  if (!checks.foreign)
    return text + "# guard: whom it would hit is not known: this host shows no cgroup v2 hierarchy\n";
  const std::vector<std::string>& foreign = *checks.foreign;
  text += "# guard: on this host " + std::to_string(foreign.size()) +
          (foreign.size() == 1 ? " cgroup of others" : " cgroups of others") + " would get no sockets if made anew";
  for (std::size_t i = 0; i < std::min(foreign.size(), kShown); ++i) {
    text += (i == 0 ? ": " : ", ") + escape_for_display(foreign[i]);
  }
  return text + (foreign.size() > kShown ? ", ...\n" : "\n");
}

}  // namespace namewall::agent
