// The DNS proxy in other network namespaces: what whoever may not enter them has opened there, and who is in them.
// Only namespaces that belong to the caller's user namespace: one that a workload made for itself answers its own
// questions, and gets no proxy.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agent/proxy/proxy_sockets.h"
#include "policy/file_descriptor.h"
#include "policy/resolv_conf.h"
#include "policy/result.h"

namespace namewall::agent {

// Of one network namespace.
struct NetnsProxy {
  FileDescriptor netns;                      // names it: for make_netns_sockets()
  FileDescriptor diagnosis;                  // NETLINK_SOCK_DIAG
  std::vector<Result<ProxySockets>> places;  // for each resolver, in order
};

// How many sockets towards resolvers.
struct SocketCounts {
  std::uint32_t udp4 = 0, tcp4 = 0, udp6 = 0, tcp6 = 0;
  std::uint32_t sum() const { return udp4 + tcp4 + udp6 + tcp6; }
  friend bool operator==(const SocketCounts&, const SocketCounts&) = default;
};

// A process that is in the network namespace with this inode of nsfs.
struct ProcessInNetns {
  std::uint64_t inode = 0;
  std::uint32_t pid = 0;
  friend bool operator==(const ProcessInNetns&, const ProcessInNetns&) = default;
};

struct NetnsScan {
  struct Found {
    std::uint64_t cookie = 0;
    ProcessInNetns process;
  };
  std::vector<Found> found;  // one process for each namespace and cgroup
  bool is_complete = true;   // false: a bound was reached
};

inline constexpr std::size_t kMaxPlacesPerRequest = 16;
inline constexpr std::size_t kMaxSocketsPerRequest = 32;
inline constexpr std::size_t kMaxCheckedProcesses = 64;
inline constexpr std::size_t kMaxScannedEntries = 256;
inline constexpr std::size_t kMaxScannedProcesses = 65536;

// These move the calling thread into the namespace, for good: for a process of its own.
// As enter_netns_of(), and kPermission: the namespace belongs to another user namespace.
Result<NetnsProxy> open_netns_proxy(std::uint32_t pid, std::uint64_t cookie,
                                    std::span<const ResolverAddress> resolvers);
// Non-blocking ones, IPv4 first, UDP before TCP. kConflict: `netns` has another cookie.
Result<std::vector<FileDescriptor>> make_netns_sockets(int netns, std::uint64_t cookie, const SocketCounts& counts);
// Of all processes of this pid namespace, those in other network namespaces than the caller's.
Result<NetnsScan> scan_netns_processes();

// Bit i: the i-th lives and is in that namespace. At most kMaxCheckedProcesses.
std::uint64_t check_netns_processes(std::span<const ProcessInNetns> processes);

}  // namespace namewall::agent
