// Where a run's policy comes from: a file or arguments, and the files of policy_sources.h beside it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bpf/kernel_probe.h"
#include "policy/policy.h"
#include "policy/policy_image.h"

namespace namewall::agent {

struct RunPolicySources {
  std::string policy_file;  // "-": standard input; "": `allow` and `deny`
  std::vector<std::string> allow, deny;
  std::string host_file;                                    // "": kHostPolicyPath, where it exists
  bool audit = false;                                       // whatever the policy's mode says
  bool kernel_can_learn = bpf::probe_abilities().has_loop;  // see choose_learning
};

struct RunPolicy {
  Policy policy;
  PolicyImage image;
};

struct LoadedRunPolicy {
  std::optional<RunPolicy> loaded;    // nullopt: an error among the messages
  std::vector<std::string> messages;  // a line each, errors and warnings in order
};

LoadedRunPolicy load_run_policy(const RunPolicySources& sources);

}  // namespace namewall::agent
