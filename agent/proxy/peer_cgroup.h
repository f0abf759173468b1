// The cgroup of the socket at the other end of a TCP connection within one network namespace.
#pragma once

#include <cstdint>

#include "policy/resolv_conf.h"
#include "policy/result.h"

namespace namewall::agent {

// An exact lookup, by the connection's ends as the peer's socket has them. `diagnosis`: a NETLINK_SOCK_DIAG socket of
// the namespace. kNotFound: there is no such socket (any more); kUnsupported: the kernel does not tell its cgroup.
Result<std::uint64_t> find_cgroup_of_connection(int diagnosis, const ResolverAddress& its_local,
                                                const ResolverAddress& its_remote);

}  // namespace namewall::agent
