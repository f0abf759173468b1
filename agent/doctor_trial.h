// The proof: a throw-away cgroup is armed with a small policy, and a child in it tries what the policy refuses and what
// it allows. Nothing leaves the host: the resolver is a socket of the doctor on 127.0.0.1, and where a connect is
// allowed it is that of a UDP socket, which sends nothing.
#pragma once

#include <vector>

#include "agent/cgroup_tree.h"
#include "agent/doctor_report.h"

namespace namewall::agent {

std::vector<DoctorCheck> try_policy(const RunCgroup& cgroup);

}  // namespace namewall::agent
