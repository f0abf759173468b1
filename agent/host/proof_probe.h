// Runs a live proof: the process that tries, and the cgroup it tries in.
//
// That cgroup is called namewall-probe-*: whoever watches the tree leaves such children of an armed workload alone.
#pragma once

#include <chrono>

#include "agent/host/live_proof.h"

namespace namewall::agent {

inline constexpr char kProbePrefix[] = "namewall-probe-";
inline constexpr std::chrono::milliseconds kProofDeadline{500};

// Blocks until the probe has ended, at most about kProofDeadline. Needs root. Leaves no cgroup and no process, and
// removes what a killed predecessor left in this cgroup.
ProofOutcome run_proof(int cgroup_fd, const ProofPlan& plan);

}  // namespace namewall::agent
