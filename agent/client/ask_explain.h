// `explain TARGET --workload W` and `why W TARGET`: the daemon walks the verdict as it stands now.
#pragma once

#include <string>

#include "agent/client/daemon_client.h"

namespace namewall::agent {

// Prints the walk; the exit code. `workload` "": the caller's own. `target` "": its last refusal.
int ask_explain(const DaemonClient& daemon, const std::string& workload, const std::string& target, bool as_json);

}  // namespace namewall::agent
