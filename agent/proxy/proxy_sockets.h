// The sockets that stand in for one resolver in one network namespace.
#pragma once

#include <cstdint>

#include "policy/file_descriptor.h"
#include "policy/proxy_place.h"
#include "policy/resolv_conf.h"
#include "policy/result.h"

namespace namewall::agent {

// Bound to the loopback address of the resolver's family, both to one port; SO_RCVMARK on the datagram one where the
// kernel has it. Plain descriptors: they may be passed to another process, and held by the service manager.
struct ProxySockets {
  FileDescriptor udp;
  FileDescriptor tcp;  // listening
};

// In the calling thread's network namespace. kUnsupported: loopback is down there (it is never brought up), or the
// family is missing.
Result<ProxySockets> open_proxy_sockets(const ResolverAddress& resolver);
// Where sockets that somebody passed or held are; kInvalid: they are none of open_proxy_sockets().
struct ProxySocketsPlace {
  std::uint64_t netns_cookie = 0;
  Port port;
  bool is_ipv6 = false;
};
Result<ProxySocketsPlace> locate(const ProxySockets& sockets);

}  // namespace namewall::agent
