// A DNS server driven by a function: for each question the datagrams to send, honest or forged. It serves from a
// thread; its sockets belong to the network namespace in which it was made.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/kernel/support/dns_bytes.h"
#include "tests/kernel/support/owned_fd.h"
#include "tests/kernel/support/socket_address.h"

namespace namewall::kernel_tests {

struct ReceivedQuestion {
  Bytes bytes;
  ReadQuestion read;
  SocketAddress peer;
  std::size_t socket = 0;  // index of the server's address that it came to
};

struct Reply {
  Bytes bytes;
  int from = -1;  // index of the server's address that it leaves from; -1: where the question came to
};

using Answerer = std::function<std::vector<Reply>(const ReceivedQuestion&)>;

class DnsServer {
 public:
  DnsServer(const std::vector<SocketAddress>& addresses, Answerer answerer);
  DnsServer(const DnsServer&) = delete;
  ~DnsServer();

  // Takes effect with the next question.
  void answer_with(Answerer answerer);
  std::vector<ReceivedQuestion> questions() const;  // all that arrived so far, in order
  std::size_t questions_for(const std::string& name) const;
  // Sends from the server's own socket without a question.
  void send_unasked(const Bytes& bytes, const SocketAddress& to, std::size_t from = 0);

 private:
  void serve();
  std::vector<OwnedFd> sockets_;
  OwnedFd stop_;
  mutable std::mutex mutex_;
  Answerer answerer_;
  std::vector<ReceivedQuestion> questions_;
  std::thread thread_;
};

// Records by owner; a question gets those of its name and type, CNAMEs first and followed; nothing: NXDOMAIN.
class Zone {
 public:
  void add(const std::string& name, const Address& address, std::uint32_t ttl = 60);
  void alias(const std::string& name, const std::string& target, std::uint32_t ttl = 60);
  Answerer answerer() const;

 private:
  std::multimap<std::string, ZoneRecord> records_;
};

}  // namespace namewall::kernel_tests
