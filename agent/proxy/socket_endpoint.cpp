#include "agent/proxy/socket_endpoint.h"

#include <array>
#include <cstring>

namespace namewall::agent {

SocketEndpoint::SocketEndpoint(const ResolverAddress& where) : v6{} {
  if (where.address.is_v4()) {
    v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(where.port.number);
    const auto bytes = where.address.v4_bytes();
    std::memcpy(&v4.sin_addr, bytes.data(), bytes.size());
  } else {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(where.port.number);
    std::memcpy(&v6.sin6_addr, where.address.bytes().data(), where.address.bytes().size());
  }
}

ResolverAddress SocketEndpoint::where() const {
  if (any.sa_family == AF_INET) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
    return {Address::v4(bytes), Port{ntohs(v4.sin_port)}};
  }
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  return {Address::v6(bytes), Port{ntohs(v6.sin6_port)}};
}

ResolverAddress loopback_of(bool is_ipv6, Port port) {
  if (!is_ipv6) return {Address::v4({127, 0, 0, 1}), port};
  std::array<std::uint8_t, 16> bytes{};
  bytes.back() = 1;
  return {Address::v6(bytes), port};
}

}  // namespace namewall::agent
