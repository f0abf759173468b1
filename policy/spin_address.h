// Addresses and networks as Spin compares them: unlike everywhere else in namewall (address.h), an IPv4-mapped IPv6
// address is not the IPv4 address.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/address.h"

namespace namewall {

struct SpinAddress {
  Address address;
  bool is_v4 = false;
  std::uint8_t bits() const { return is_v4 ? 32 : 128; }
  std::string to_string() const;  // "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"
  friend auto operator<=>(const SpinAddress&, const SpinAddress&) = default;
};

// Four decimal parts, or RFC 4291 text without brackets and zone.
std::optional<SpinAddress> parse_spin_address(std::string_view text);

class SpinNetwork {
 public:
  // Bits behind the length are cleared. `length` is at most base.bits().
  SpinNetwork(const SpinAddress& base, std::uint8_t length);
  // "10.0.0.0/8", "2001:db8::/32", never bracketed; host bits are cleared. An address without a length is none.
  static std::optional<SpinNetwork> parse(std::string_view text);

  const SpinAddress& base() const { return base_; }
  std::uint8_t length() const { return length_; }
  bool contains(const SpinAddress& address) const;
  // One bit shorter; of length 0: itself.
  SpinNetwork parent() const;
  std::string to_string() const;
  // By base, then by length: a network comes before what lies inside of it.
  friend auto operator<=>(const SpinNetwork&, const SpinNetwork&) = default;

 private:
  SpinAddress base_;
  std::uint8_t length_ = 0;
};

}  // namespace namewall
