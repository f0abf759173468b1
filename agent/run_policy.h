// Where a run's policy comes from: a file or arguments, and the files of policy_sources.h beside it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/policy.h"
#include "policy/policy_image.h"

namespace namewall::agent {

struct RunPolicySources {
  std::string policy_file;  // "-": standard input; "": `allow` and `deny`
  std::vector<std::string> allow, deny;
  std::string host_file;                 // "": kHostPolicyPath, where it exists
  bool audit = false;                    // whatever the policy's mode says
  std::optional<Backend> backend;        // whatever policy and host say
  std::optional<bool> kernel_can_learn;  // see fit_to_backend
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
