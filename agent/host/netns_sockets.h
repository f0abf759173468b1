// Sockets in the network namespace of another process, opened for whoever may not enter it.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/refusal_answer.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

struct NetnsSockets {
  RefusalSockets answers;
  FileDescriptor diagnosis;  // NETLINK_SOCK_DIAG
};

// A process of a cgroup subtree and the network namespace it is in. One process stands for each namespace.
struct NetnsOfProcess {
  std::uint32_t pid = 0;
  std::uint64_t cookie = 0;
};

struct NetnsList {
  std::vector<NetnsOfProcess> namespaces;
  bool is_complete = true;              // false: a bound was reached, or a process could not be read
  std::uint32_t raw_sockets = 0;        // IP ones that they hold
  std::uint32_t sockets_elsewhere = 0;  // IP sockets they hold of namespaces none of them is in
};

inline constexpr std::size_t kMaxListedNamespaces = 64;
inline constexpr std::size_t kMaxListedProcesses = 4096;

// Of the calling thread's namespace.
Result<NetnsSockets> open_netns_sockets();

// Moves the calling thread into the network namespace of `pid`, for good. kNotFound: no such process; kConflict: it is
// in another namespace than `cookie` says, or in no cgroup but the root; kPermission without CAP_SYS_ADMIN.
Result<void> enter_netns_of(std::uint32_t pid, std::uint64_t cookie);

// Moves the calling thread through the namespaces it lists: for a process of its own.
Result<NetnsList> list_network_namespaces(int cgroup_fd);

}  // namespace namewall::agent
