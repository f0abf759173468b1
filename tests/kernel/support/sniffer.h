// Sees every packet that arrives at the far end of the wire, and tells which went to a forbidden address.
#pragma once

#include <string>
#include <vector>

#include "tests/kernel/support/dns_bytes.h"
#include "tests/kernel/support/network.h"

namespace namewall::kernel_tests {

class Sniffer {
 public:
  explicit Sniffer(const Network& network);
  // The IP packets that arrived since the last call, from the IP header on. Waits until the wire has been quiet for
  // 30 ms (retransmissions of a SYN take a second: they repeat what was seen or not).
  std::vector<Bytes> take();

 private:
  OwnedFd socket_;
};

// Destination of the outermost IP header.
Address destination_of(const Bytes& packet);
bool contains_text(const Bytes& packet, const std::string& text);

}  // namespace namewall::kernel_tests
