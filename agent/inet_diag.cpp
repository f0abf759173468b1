#include "agent/inet_diag.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace namewall::agent {

Address read_diag_address(int family, const __be32 (&words)[4]) {
  if (family == AF_INET) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), words, bytes.size());
    return Address::v4(bytes);
  }
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), words, bytes.size());
  return Address::v6(bytes);
}

void write_diag_address(int family, const Address& address, __be32 (&words)[4]) {
  if (family == AF_INET) {
    const auto bytes = address.v4_bytes();
    std::memcpy(words, bytes.data(), bytes.size());
  } else {
    std::memcpy(words, address.bytes().data(), address.bytes().size());
  }
}

void for_each_diag_attribute(std::span<const char> payload,
                             const std::function<void(unsigned, std::span<const char>)>& take) {
  for (std::size_t at = NLMSG_ALIGN(sizeof(inet_diag_msg)); at + sizeof(rtattr) <= payload.size();) {
    rtattr attribute{};
    std::memcpy(&attribute, payload.data() + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > payload.size()) return;
    take(attribute.rta_type, payload.subspan(at + RTA_LENGTH(0), attribute.rta_len - RTA_LENGTH(0)));
    at += RTA_ALIGN(attribute.rta_len);
  }
}

}  // namespace namewall::agent
