// Who sent a datagram, as the 64 bits that travel with its question.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "agent/proxy/socket_endpoint.h"

namespace namewall::agent {

// IPv4 senders are their own token. IPv6 ones are remembered, the newest kMaxSenders addresses: a sender that has more
// loses its own answers.
class SenderTokens {
 public:
  static constexpr std::size_t kMaxSenders = 4096;

  std::uint64_t token_of(const SocketEndpoint& sender);
  std::optional<SocketEndpoint> sender_of(std::uint64_t token) const;  // nullopt: forgotten

 private:
  std::map<Address, std::uint64_t> number_of_;
  std::vector<Address> addresses_;  // of number N at N % kMaxSenders
  std::uint64_t next_number_ = 0;
};

}  // namespace namewall::agent
