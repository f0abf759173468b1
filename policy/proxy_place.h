// The DNS proxy's places and what tells whose a question there is: values between the proxy and the backends.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "policy/address.h"
#include "policy/port_set.h"
#include "policy/resolv_conf.h"

namespace namewall {

// Where the proxy listens for questions to one resolver in one network namespace: on 127.0.0.1 for an IPv4 resolver, on
// ::1 for an IPv6 one. A place belongs to one resolver only, so that answers can be given its address again.
struct ProxyPlace {
  std::uint64_t netns_cookie = 0;
  ResolverAddress resolver;  // as programs name it
  Protocol protocol = Protocol::kUdp;
  Port port;  // of the proxy's socket
  friend auto operator<=>(const ProxyPlace&, const ProxyPlace&) = default;
};

// A token that egress writes into bits 16 to 31 of the mark of packets to a proxy place, and nowhere else. 0: none.
using AskerToken = std::uint16_t;
inline constexpr AskerToken kFirstNftToken = 0x8000;  // from here on they are nftables' (bits of one mark), below BPF's

// What a packet to a proxy place says of its sender where marks cannot be had: written by egress for each such packet,
// taken once.
struct AskerKey {
  std::uint64_t netns_cookie = 0;
  Address address;  // the packet's source
  Port port;
  std::vector<std::uint8_t> message;  // the DNS message: only what its sender really sent is its own
};

}  // namespace namewall
