#include "agent/proxy/sender_tokens.h"

namespace namewall::agent {
namespace {

// Bit 63: IPv6. Bits 16 to 62: the IPv4 address, or the number of the IPv6 one. Bits 0 to 15: the port.
constexpr std::uint64_t kIpv6 = 1ull << 63;

}  // namespace

std::uint64_t SenderTokens::token_of(const SocketEndpoint& sender) {
  if (sender.any.sa_family == AF_INET) {
    return static_cast<std::uint64_t>(sender.v4.sin_addr.s_addr) << 16 | ntohs(sender.v4.sin_port);
  }
  const ResolverAddress where = sender.where();
  const auto [known, is_new] = number_of_.try_emplace(where.address, next_number_);
  if (is_new) {
    const std::size_t at = next_number_++ % kMaxSenders;
    if (at == addresses_.size()) {
      addresses_.push_back(where.address);
    } else {
      number_of_.erase(addresses_[at]);
      addresses_[at] = where.address;
    }
  }
  return kIpv6 | known->second << 16 | where.port.number;
}

std::optional<SocketEndpoint> SenderTokens::sender_of(std::uint64_t token) const {
  SocketEndpoint sender;
  const std::uint64_t body = (token & ~kIpv6) >> 16;
  if ((token & kIpv6) == 0) {
    sender.v4 = {};
    sender.v4.sin_family = AF_INET;
    sender.v4.sin_addr.s_addr = static_cast<in_addr_t>(body);
    sender.v4.sin_port = htons(static_cast<std::uint16_t>(token));
    return sender;
  }
  if (body >= next_number_ || next_number_ - body > kMaxSenders) return std::nullopt;
  return SocketEndpoint({addresses_[body % kMaxSenders], Port{static_cast<std::uint16_t>(token)}});
}

}  // namespace namewall::agent
