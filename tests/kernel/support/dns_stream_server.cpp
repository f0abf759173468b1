#include "tests/kernel/support/dns_stream_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace namewall::kernel_tests {
namespace {

bool receive_exactly(int fd, std::size_t length, std::chrono::milliseconds timeout, Bytes& bytes) {
  bytes.resize(length);
  for (std::size_t at = 0; at < length;) {
    pollfd waiting{fd, POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(timeout.count())) <= 0) return false;
    const ssize_t count = recv(fd, bytes.data() + at, length - at, 0);
    if (count <= 0) return false;
    at += static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace

Bytes framed(const Bytes& message) {
  Bytes bytes{static_cast<std::uint8_t>(message.size() >> 8), static_cast<std::uint8_t>(message.size())};
  bytes.insert(bytes.end(), message.begin(), message.end());
  return bytes;
}

std::optional<Bytes> receive_framed(int fd, std::chrono::milliseconds timeout) {
  Bytes prefix, message;
  if (!receive_exactly(fd, 2, timeout, prefix)) return std::nullopt;
  if (!receive_exactly(fd, static_cast<std::size_t>(prefix[0]) << 8 | prefix[1], timeout, message)) return std::nullopt;
  return message;
}

DnsStreamServer::DnsStreamServer(const SocketAddress& address, Answerer answerer)
    : listening_(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)),
      stop_(eventfd(0, EFD_CLOEXEC)),
      answerer_(std::move(answerer)) {
  const int yes = 1;
  setsockopt(listening_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (bind(listening_.get(), address.get(), address.length) != 0 || listen(listening_.get(), 8) != 0) {
    ADD_FAILURE() << "TCP server on " << address.address().to_string() << ": " << std::strerror(errno);
  }
  thread_ = std::thread([this] { serve(); });
}

DnsStreamServer::~DnsStreamServer() {
  const std::uint64_t one = 1;
  if (write(stop_.get(), &one, sizeof(one)) == sizeof(one))
    thread_.join();
  else
    thread_.detach();
}

void DnsStreamServer::serve() {
  OwnedFd connection;
  for (;;) {
    pollfd waiting[] = {{stop_.get(), POLLIN, 0}, {connection ? connection.get() : listening_.get(), POLLIN, 0}};
    if (poll(waiting, 2, -1) < 0 || waiting[0].revents != 0) return;
    if (!connection) {
      connection = OwnedFd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      continue;
    }
    const auto message = receive_framed(connection.get());
    if (!message) {
      connection.reset();
      continue;
    }
    ++questions_;
    ReceivedQuestion question;
    question.bytes = *message;
    question.read = read_question(*message);
    for (const auto& reply : answerer_(question)) {
      const Bytes bytes = framed(reply.bytes);
      send(connection.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
  }
}

}  // namespace namewall::kernel_tests
