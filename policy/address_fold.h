// Folds what a policy's rules and its host say of addresses into nodes for a longest-match lookup (policy_image.h), and
// `listen` and `loopback` with them.
//
// Host blocks are host denies, but
//   - a trusted resolver stays open on its port, over TCP and UDP: its address is a node without them;
//   - those that spare the own loopback (host_rules.h) deny nothing in 127.0.0.0/8, 0.0.0.0, ::1 and ::. There they
//     take the allows of address rules away, and `loopback = "any"` is "own".
// Where the host lets nothing listen, `listen` is empty, "own" is "none", and "any" is allows of every port of those
// addresses: what the workload may reach there is as before, and nobody reaches it.
#pragma once

#include <vector>

#include "policy/policy_image.h"

namespace namewall {

// `blocks`: those that hold the policy. The image has its ports, resolvers, listen, may_listen and loopback.
void fold_addresses(const Policy& policy, const HostPolicy& host, const std::vector<Rule>& blocks, PolicyImage& image);

// The ports that have to be told apart for the resolvers that `blocks` would close.
std::vector<PortSet> spared_ports(const std::vector<Rule>& blocks, const std::vector<ResolverAddress>& resolvers);

}  // namespace namewall
