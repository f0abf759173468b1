// One long-lived process in a cgroup that acts on request: for tests that need thousands of acts and their exact order.
#pragma once

#include <memory>

#include "tests/kernel/support/client.h"
#include "tests/kernel/support/workload_process.h"

namespace namewall::kernel_tests {

class RemoteWorkload {
 public:
  explicit RemoteWorkload(const ThrowawayCgroup& cgroup);

  // Sends the bytes to the resolver from a fresh connected UDP socket, which stays open. The errno.
  int send_question(const SocketAddress& resolver, const Bytes& question);
  // Whether a datagram waits on that socket. Never blocks: what is delivered is there when the sender's call returns.
  bool has_answer();
  int tcp_connect(const SocketAddress& to);  // 0: the connect was let through (the SYN left)
  int udp_send(const SocketAddress& to);     // unconnected

 private:
  struct Request;
  int call(const Request& request);
  OwnedFd channel_;
  std::unique_ptr<WorkloadProcess> process_;
};

}  // namespace namewall::kernel_tests
