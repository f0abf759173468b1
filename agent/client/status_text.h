// What `status` and `list` print. Pure; workloads' strings come out escaped.
#pragma once

#include <string>
#include <vector>

#include "agent/client/screen.h"
#include "agent/host/host_view.h"

namespace namewall::agent {

std::string status_text(const StatusView& status, const Screen& screen);
// The word of a workload's state in its colour.
Tone tone_of_state(const std::string& state);

std::string list_text(const std::vector<WorkloadView>& workloads, const Screen& screen);
// The rules of one policy with the workloads that it holds.
std::string rules_text(const std::vector<std::string>& workloads, const WorkloadDetail& detail, const Screen& screen);

}  // namespace namewall::agent
