// What a workload does, as single calls whose outcome is an errno (0: it worked). Used inside forked children.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "tests/kernel/support/dns_bytes.h"
#include "tests/kernel/support/owned_fd.h"
#include "tests/kernel/support/socket_address.h"

namespace namewall::kernel_tests {

using std::chrono::milliseconds;

// ETIMEDOUT when the handshake has not finished in time. The connection is reset on close: no TIME_WAIT.
int tcp_connect(const Address& address, std::uint16_t port, milliseconds timeout = milliseconds(1000));
int udp_connect(const Address& address, std::uint16_t port);           // connect() only
int udp_connect_and_send(const Address& address, std::uint16_t port);  // the errno of the first that fails
int udp_send_to(const Address& address, std::uint16_t port);
int wait_for_tcp(int socket, milliseconds timeout);  // of a started non-blocking connect
OwnedFd make_socket(int family, int type, int protocol = 0);
void reset_on_close(int socket);

struct LookupOutcome {
  int send_error = 0;       // errno of connect or send
  bool answered = false;    // an answer with the question's id reached the socket
  std::uint16_t flags = 0;  // of the answer
  std::uint16_t answer_count = 0;
  bool delivered() const { return send_error == 0 && answered; }
};
// Asks over a connected UDP socket with a random id. Waits at most `timeout` for the answer.
LookupOutcome look_up(const SocketAddress& resolver, const std::string& name, std::uint16_t type = 1,
                      milliseconds timeout = milliseconds(300));
// Sends these bytes on `socket` (connected) and waits for an answer with their id.
LookupOutcome ask_on(int socket, const Bytes& question, milliseconds timeout = milliseconds(300));
// The next datagram on the socket.
std::optional<Bytes> receive(int socket, milliseconds timeout);

}  // namespace namewall::kernel_tests
