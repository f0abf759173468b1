// Where a run's policy comes from: a file or arguments, the host's own policy, and the resolvers of /etc/resolv.conf as
// namewall itself reads it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/policy.h"
#include "policy/policy_image.h"

namespace namewall::agent {

inline constexpr const char* kDefaultHostPolicy = "/etc/namewall/host.toml";

struct RunPolicySources {
  std::string policy_file;  // "": `allow` and `deny`
  std::vector<std::string> allow, deny;
  std::string host_file;  // "": kDefaultHostPolicy, where it exists
  bool audit = false;     // whatever the policy's mode says
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
