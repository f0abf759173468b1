// The sockets of a cgroup subtree in one network namespace, by sock_diag(7).
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "agent/host/flow_judge.h"
#include "policy/result.h"

namespace namewall::agent {

struct SocketList {
  // TCP, UDP and raw, with and without a peer; none that has never been bound or connected.
  std::vector<Flow> flows;
  bool has_raw = true;  // false: this kernel does not list raw sockets (CONFIG_INET_RAW_DIAG)
};

inline constexpr std::size_t kMaxListedSockets = 65536;
inline constexpr std::chrono::milliseconds kListingBudget{500};

// `diagnosis`: a NETLINK_SOCK_DIAG socket of the namespace, which must not be used again after an error. Empty
// `cgroups`: the sockets of every cgroup. kLimit: more than kMaxListedSockets of these cgroups, or kListingBudget is
// over. Blocks: the kernel walks all sockets of the namespace, whoever has them.
Result<SocketList> list_sockets(int diagnosis, const std::set<std::uint64_t>& cgroups);

// The peer sees a reset, the program an error at once. kNotFound: it has ended by itself. Else as send_socket_destroy.
Result<void> destroy_socket(int diagnosis, const Flow& flow);

}  // namespace namewall::agent
