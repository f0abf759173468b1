// Pieces of text that several commands print. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/client/screen.h"
#include "agent/host/host_view.h"

namespace namewall::agent {

// "  proved      12 s ago": the text goes on in its own column.
std::string fact_line(std::string_view label, std::string_view text, const Screen& screen);
// "  - sentence" for each, escaped, after the title; "" where there is none.
std::string sentence_list(std::string_view title, const std::vector<std::string>& sentences, const Screen& screen);

// The tone of a state of a workload, of a policy's file, or of the daemon.
Tone tone_of_state(std::string_view state);
// Where a workload's policy was written: its file, or "api", "command", "adopted". Escaped.
std::string origin_of(const WorkloadView& workload);
// Action, rule, origin, and what makes it dead.
std::string rules_table(const std::vector<RuleView>& rules, const Screen& screen);

}  // namespace namewall::agent
