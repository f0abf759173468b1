// What of a host's policy holds for the policy of one name.
//
// Names of exemptions are policies': a workload of a file, also one of many that a glob has, counts by its policy's
// name, one made by a call by the name of the policy that the call brought, which is the workload's where it says
// none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"

namespace namewall {

inline constexpr std::string_view kFromBlockNetworks = "block_networks";
inline constexpr std::string_view kFromUdpLimit = "limits.udp";
inline constexpr std::string_view kFromLowPortsLimit = "limits.loopback_low_ports";

bool holds(const HostBlock& block, std::string_view policy_name);
bool may_listen(const HostPolicy& host, std::string_view policy_name);

// The rules of the blocks that hold this policy, in the order of the file.
std::vector<Rule> blocks_for(const HostPolicy& host, std::string_view policy_name);
// `deny`, then these: everything of the host that refuses.
std::vector<Rule> host_denies_for(const HostPolicy& host, std::string_view policy_name);

// Whether the rule closes networks, not the workload's own loopback: block_networks with a prefix that has all of
// 127.0.0.0/8, or ::1, in it. Sockets of one workload are no network to each other.
bool spares_own_loopback(const Rule& rule);

// Every name that an exemption has, each once, where it stands first.
struct ExemptName {
  std::string name;
  Origin origin;
};
std::vector<ExemptName> exempt_names(const HostPolicy& host);

// What `check` says of the limits for this policy: a line each, "udp: denied (host.toml:7:8), resolvers excepted".
std::vector<std::string> describe_host_limits(const HostPolicy& host, std::string_view policy_name);

// Blocks and limits as text that is equal for equal ones.
std::string blocks_text(const HostPolicy& host);

}  // namespace namewall
