#include "agent/client/list_text.h"

#include <map>
#include <tuple>

#include "agent/client/phrase.h"
#include "agent/client/sections.h"
#include "agent/client/table.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxNamedWorkloads = 4;

std::string proved_phrase(const WorkloadView& workload) {
  return workload.proved_ago_s < 0 ? "-" : phrase_seconds(workload.proved_ago_s);
}

}  // namespace

std::string list_text(const std::vector<WorkloadView>& workloads, const Screen& screen) {
  if (workloads.empty()) return "No workload is armed.\n";
  Table table({{"WORKLOAD", false, 0, 16},
               {"STATE", false, 0, 9},
               {"POLICY", false, 2, 10},
               {"RULES", true, 4, 5},
               {"GRANTS", true, 1, 6},
               {"REFUSED", true, 0, 4},
               {"PROVED", true, 5, 6},
               {"ORIGIN", false, 1, 16, true}});
  for (const WorkloadView& workload : workloads) {
    table.add({escape_for_display(workload.name), escape_for_display(workload.state),
               escape_for_display(workload.policy), std::to_string(workload.rules),
               std::to_string(workload.grants) + "/" + std::to_string(workload.max_addresses),
               phrase_amount(workload.refusals), proved_phrase(workload), origin_of(workload)});
  }
  return table.to_string(screen.width);
}

std::string names_text(const std::vector<WorkloadView>& workloads) {
  std::string out;
  for (const WorkloadView& workload : workloads) out += escape_for_display(workload.name) + "\n";
  return out;
}

std::vector<PolicyGroup> group_by_policy(const std::vector<WorkloadView>& workloads) {
  std::vector<PolicyGroup> groups;
  std::map<std::tuple<std::string, std::string, std::string>, std::size_t> index;
  for (const WorkloadView& workload : workloads) {
    const auto [found, is_new] =
        index.try_emplace({workload.policy, workload.policy_sha256, workload.file}, groups.size());
    if (is_new) groups.push_back({workload.policy, {}});
    groups[found->second].workloads.push_back(workload.name);
  }
  return groups;
}

std::string rules_text(const PolicyGroup& group, const WorkloadDetail& detail, const Screen& screen) {
  std::vector<std::string> named;
  for (const std::string& workload : group.workloads) {
    if (named.size() == kMaxNamedWorkloads) break;
    named.push_back(escape_for_display(workload));
  }
  std::string title = escape_for_display(group.policy) + " (" + origin_of(detail.workload) + "): " + phrase_list(named);
  const std::size_t others = group.workloads.size() - named.size();
  if (others != 0) title += " and " + phrase_count(others, "other", "others");
  std::string out;
  for (const std::string& line : wrap(title, screen.width, 2)) out += line + "\n";
  const std::string rules = rules_table(detail.rules, screen);
  return out + (rules.empty() ? "  no rule: nothing is allowed\n" : rules);
}

}  // namespace namewall::agent
