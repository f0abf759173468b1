// The sockets of a cgroup subtree in one network namespace, by sock_diag(7).
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <vector>

#include "agent/host/flow_judge.h"
#include "policy/result.h"

namespace namewall::agent {

struct SocketList {
  std::vector<Flow> flows;              // connected ones and listeners; raw sockets
  std::vector<std::string> not_listed;  // kinds of sockets that this kernel does not list, and why
};

// `diagnosis`: a NETLINK_SOCK_DIAG socket of the namespace. Empty `cgroups`: of every cgroup. kLimit: more than
// `max_flows`. Blocks for about a microsecond for each socket of the namespace (of every cgroup), at most `budget`.
Result<SocketList> list_sockets(int diagnosis, const std::set<std::uint64_t>& cgroups, std::size_t max_flows = 65536,
                                std::chrono::milliseconds budget = std::chrono::milliseconds(500));

// The peer sees a reset, the program an error at once. kNotFound: it has ended by itself. kPermission without
// CAP_NET_ADMIN over the namespace, of this process and of who opened `diagnosis`. kUnsupported: the kernel cannot.
Result<void> destroy_socket(int diagnosis, const Flow& flow);

// Ids of the cgroup and of all below it; kLimit above `max`.
Result<std::set<std::uint64_t>> find_cgroup_ids(int cgroup_fd, std::size_t max = 4096);

}  // namespace namewall::agent
