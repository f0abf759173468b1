#include "tests/kernel/support/socket_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>

namespace namewall::kernel_tests {

SocketAddress::SocketAddress(const Address& address, std::uint16_t port) {
  if (address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.v4_bytes().data(), 4);
    length = sizeof(v4);
  } else {
    *this = mapped(address, port);
  }
}

SocketAddress SocketAddress::mapped(const Address& address, std::uint16_t port) {
  SocketAddress result;
  auto& v6 = reinterpret_cast<sockaddr_in6&>(result.storage);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, address.bytes().data(), 16);
  result.length = sizeof(v6);
  return result;
}

Address SocketAddress::address() const {
  if (storage.ss_family == AF_INET) {
    std::array<std::uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, 4);
    return Address::v4(bytes);
  }
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, 16);
  return Address::v6(bytes);
}

std::uint16_t SocketAddress::port() const {
  return ntohs(storage.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(storage).sin_port
                                            : reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
}

Address ip(const std::string& text) {
  const auto address = parse_address(text);
  if (!address) ADD_FAILURE() << text << " is not an address";
  return address.value_or(Address());
}

}  // namespace namewall::kernel_tests
