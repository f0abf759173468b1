// Address and port as the sockaddr that system calls take.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "policy/address.h"

namespace namewall::kernel_tests {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  SocketAddress() = default;
  SocketAddress(const Address& address, std::uint16_t port);
  static SocketAddress mapped(const Address& v4, std::uint16_t port);  // ::ffff:a.b.c.d of an AF_INET6 socket

  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  Address address() const;
  std::uint16_t port() const;
};

Address ip(const std::string& text);  // of a literal; a bad one fails the test

}  // namespace namewall::kernel_tests
