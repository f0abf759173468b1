// A stand-in for the DNS proxy: sockets for one resolver in the namespace where it is made, which note who asks and
// answer from a zone.
#pragma once

#include <mutex>
#include <thread>
#include <vector>

#include "policy/proxy_place.h"
#include "tests/kernel/support/dns_server.h"

namespace namewall::kernel_tests {

struct ProxiedQuestion {
  Bytes bytes;
  std::uint32_t mark = 0;  // of the datagram; 0 of TCP
  SocketAddress peer;
  bool over_tcp = false;
  AskerToken token() const { return static_cast<AskerToken>(mark >> 16); }
  std::string name() const { return read_question(bytes).name; }
};

class TestProxy {
 public:
  // On 127.0.0.1 or ::1, as the resolver's family wants. UDP and TCP have one port.
  TestProxy(const SocketAddress& resolver, Answerer answerer);
  TestProxy(const TestProxy&) = delete;
  ~TestProxy();

  ProxyPlace place(Protocol protocol) const;
  SocketAddress at() const { return at_; }
  std::vector<ProxiedQuestion> questions() const;
  // Waits for so many; those that came.
  std::vector<ProxiedQuestion> await(std::size_t count) const;
  // From the place, to anybody.
  void send(const Bytes& bytes, const SocketAddress& to) const;
  // Nothing is answered any more; answers are the caller's.
  void stop_answering();

 private:
  void serve();
  void serve_datagram();
  void serve_connection();
  SocketAddress resolver_, at_;
  OwnedFd udp_, tcp_, stop_;
  Answerer answerer_;
  bool answers_ = true;
  mutable std::mutex mutex_;
  std::vector<ProxiedQuestion> questions_;
  std::thread thread_;
};

}  // namespace namewall::kernel_tests
