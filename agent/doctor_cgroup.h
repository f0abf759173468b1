// `namewall doctor --cgroup PATH`: who acts for a workload from outside, or past the hooks, read directly and without a
// daemon.
#pragma once

#include <string>

namespace namewall::agent {

// PATH: a directory of a cgroup2 mount, or a path in the hierarchy ("/ci.slice/job-17"). Prints a line for each
// finding, or a JSON object (docs/doctor.md). kExitOk: none makes the workload partial; kExitNotEnforcing: one does;
// kExitNoSuchObject, kExitNotPermitted: one sentence on standard error.
int doctor_cgroup(const std::string& path, bool as_json);

}  // namespace namewall::agent
