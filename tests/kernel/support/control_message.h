// What travels beside the bytes of a message: sources and options of a datagram, sockets given to another process.
#pragma once

#include <cstddef>
#include <span>

#include "tests/kernel/support/owned_fd.h"
#include "tests/kernel/support/socket_address.h"

namespace namewall::kernel_tests {

struct ControlMessage {
  int level = 0, type = 0;
  std::span<const std::byte> data;
};

// 0, or errno.
int send_with_control(int socket, const SocketAddress& to, std::span<const std::byte> bytes,
                      const ControlMessage& control);
// From the local IPv4 address `source`, whatever the socket is bound to (IP_PKTINFO). 0, or errno.
int send_from(int socket, const Address& source, const SocketAddress& to, std::span<const std::byte> bytes);

// Through a unix socket pair.
bool pass_socket(int channel, int socket);
OwnedFd receive_socket(int channel);  // waits for one; none on failure

}  // namespace namewall::kernel_tests
