// A DNS server over TCP driven by a function, one connection after the other (tests/kernel/support/dns_server.h).
#pragma once

#include <chrono>
#include <optional>
#include <thread>

#include "tests/kernel/support/dns_server.h"

namespace namewall::kernel_tests {

class DnsStreamServer {
 public:
  // `address` as a DnsServer may have it for UDP. Every reply goes back on its connection.
  DnsStreamServer(const SocketAddress& address, Answerer answerer);
  DnsStreamServer(const DnsStreamServer&) = delete;
  ~DnsStreamServer();
  std::size_t questions() const { return questions_; }

 private:
  void serve();
  OwnedFd listening_, stop_;
  Answerer answerer_;
  std::atomic<std::size_t> questions_ = 0;
  std::thread thread_;
};

// A message with its length in front; what is on a connection up to the end of the next message, or nothing by then.
Bytes framed(const Bytes& message);
std::optional<Bytes> receive_framed(int fd, std::chrono::milliseconds timeout = std::chrono::seconds(5));

}  // namespace namewall::kernel_tests
