// An address and port as system calls take them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "policy/resolv_conf.h"

namespace namewall::agent {

union SocketEndpoint {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;

  SocketEndpoint() : v6{} {}
  explicit SocketEndpoint(const ResolverAddress& where);  // AF_INET for an IPv4 address
  socklen_t length() const { return any.sa_family == AF_INET ? sizeof v4 : sizeof v6; }
  ResolverAddress where() const;
};

ResolverAddress loopback_of(bool is_ipv6, Port port);

}  // namespace namewall::agent
