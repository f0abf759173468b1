// What `run` needs of this host beside BPF, each found by trying it in a child process or a throw-away cgroup.
#pragma once

#include <vector>

#include "agent/cgroup_tree.h"
#include "agent/doctor_report.h"

namespace namewall::agent {

// Capabilities of this process, each with what needs it.
std::vector<DoctorCheck> check_capabilities();

// System call filter, mount namespace, JIT and the kernel's own restrictions.
std::vector<DoctorCheck> check_host();

// A child started inside `cgroup` (clone3) and ended through it (cgroup.kill).
std::vector<DoctorCheck> check_cgroup(const RunCgroup& cgroup);

}  // namespace namewall::agent
