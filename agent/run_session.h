// One `namewall run`: arms a cgroup, starts the command in it, serves it until it ends, and tells what it was refused.
#pragma once

#include <string>
#include <vector>

#include "agent/keep_options.h"
#include "agent/report.h"
#include "agent/run_policy.h"

namespace namewall::agent {

struct RunOptions {
  RunPolicySources policy;
  std::string user;  // "": the invoking user
  KeepSet keep;
  ReportOptions report;
  bool stop_on_refusal = false;
  std::vector<std::string> command;  // at least one
};

// Ends this process when the command died by a signal (by the same one); else the exit code: the command's own, 123
// stopped on a refusal, 126 cannot be executed, 127 not found, 125 namewall's own failure, told on stderr; the command
// has not run then, and the host is as before.
int run_session(const RunOptions& options);

}  // namespace namewall::agent
