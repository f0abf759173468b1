#include "tests/kernel/support/client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>

#include <cerrno>

namespace namewall::kernel_tests {

OwnedFd make_socket(int family, int type, int protocol) {
  return OwnedFd(socket(family, type | SOCK_CLOEXEC, protocol));
}

void reset_on_close(int socket) {
  const linger now{1, 0};
  setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

int wait_for_tcp(int socket, milliseconds timeout) {
  pollfd waiting{socket, POLLOUT, 0};
  if (poll(&waiting, 1, static_cast<int>(timeout.count())) == 0) return ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

int tcp_connect(const Address& address, std::uint16_t port, milliseconds timeout) {
  const SocketAddress to(address, port);
  const auto client = make_socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK);
  if (!client) return errno;
  reset_on_close(client.get());
  if (connect(client.get(), to.get(), to.length) == 0) return 0;
  return errno == EINPROGRESS ? wait_for_tcp(client.get(), timeout) : errno;
}

int udp_connect(const Address& address, std::uint16_t port) {
  const SocketAddress to(address, port);
  const auto client = make_socket(to.family(), SOCK_DGRAM);
  if (!client) return errno;
  return connect(client.get(), to.get(), to.length) == 0 ? 0 : errno;
}

int udp_connect_and_send(const Address& address, std::uint16_t port) {
  const SocketAddress to(address, port);
  const auto client = make_socket(to.family(), SOCK_DGRAM);
  if (!client || connect(client.get(), to.get(), to.length) != 0) return errno;
  return send(client.get(), "x", 1, 0) == 1 ? 0 : errno;
}

int udp_send_to(const Address& address, std::uint16_t port) {
  const SocketAddress to(address, port);
  const auto client = make_socket(to.family(), SOCK_DGRAM);
  if (!client) return errno;
  return sendto(client.get(), "x", 1, 0, to.get(), to.length) == 1 ? 0 : errno;
}

std::optional<Bytes> receive(int socket, milliseconds timeout) {
  pollfd waiting{socket, POLLIN, 0};
  if (poll(&waiting, 1, static_cast<int>(timeout.count())) != 1) return std::nullopt;
  Bytes bytes(65536);
  const ssize_t n = recv(socket, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (n < 0) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(n));
  return bytes;
}

LookupOutcome ask_on(int socket, const Bytes& question, milliseconds timeout) {
  LookupOutcome outcome;
  if (send(socket, question.data(), question.size(), 0) < 0) {
    outcome.send_error = errno;
    return outcome;
  }
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (!outcome.answered) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() < 0) break;
    const auto answer = receive(socket, left);
    if (!answer || answer->size() < kDnsHeader) continue;
    const Bytes& bytes = *answer;
    if (bytes[0] != question[0] || bytes[1] != question[1]) continue;
    outcome.answered = true;
    outcome.flags = static_cast<std::uint16_t>(bytes[2] << 8 | bytes[3]);
    outcome.answer_count = static_cast<std::uint16_t>(bytes[6] << 8 | bytes[7]);
  }
  return outcome;
}

LookupOutcome look_up(const SocketAddress& resolver, const std::string& name, std::uint16_t type,
                      milliseconds timeout) {
  const auto client = make_socket(resolver.family(), SOCK_DGRAM);
  if (connect(client.get(), resolver.get(), resolver.length) != 0) {
    LookupOutcome outcome;
    outcome.send_error = errno;
    return outcome;
  }
  std::uint16_t id = 0;
  if (getrandom(&id, sizeof(id), 0) != sizeof(id)) id = 1;
  return ask_on(client.get(), make_question(id, name, type), timeout);
}

}  // namespace namewall::kernel_tests
