// Servers that the workload may or may not reach: a TCP port that accepts, a UDP port that counts and echoes.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/kernel/support/dns_bytes.h"
#include "tests/kernel/support/owned_fd.h"
#include "tests/kernel/support/socket_address.h"

namespace namewall::kernel_tests {

// Listens on every address (both families) on these ports, in the network namespace in which it was made.
class FarServices {
 public:
  FarServices(const std::vector<std::uint16_t>& tcp_ports, const std::vector<std::uint16_t>& udp_ports);
  FarServices(const FarServices&) = delete;
  ~FarServices();

  std::size_t connections() const { return connections_; }
  std::size_t datagrams() const { return datagrams_; }

 private:
  void serve();
  std::vector<OwnedFd> listeners_, receivers_;
  OwnedFd stop_;
  std::atomic<std::size_t> connections_{0}, datagrams_{0};
  std::thread thread_;
};

}  // namespace namewall::kernel_tests
