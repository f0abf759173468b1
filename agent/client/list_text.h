// What `list` prints. Pure; workloads' strings come out escaped.
#pragma once

#include <string>
#include <vector>

#include "agent/client/screen.h"
#include "agent/host/host_view.h"

namespace namewall::agent {

std::string list_text(const std::vector<WorkloadView>& workloads, const Screen& screen);
// One a line, for completions.
std::string names_text(const std::vector<WorkloadView>& workloads);

// Workloads that have one policy in one version, in the order of their first.
struct PolicyGroup {
  std::string policy;
  std::vector<std::string> workloads;
};
std::vector<PolicyGroup> group_by_policy(const std::vector<WorkloadView>& workloads);
// The rules of a group, from the detail of any of its workloads.
std::string rules_text(const PolicyGroup& group, const WorkloadDetail& detail, const Screen& screen);

}  // namespace namewall::agent
