// IP addresses and prefixes in one 16-byte form: an IPv4 address is its v4-mapped IPv6 form (::ffff:a.b.c.d),
// as in the BPF maps. Bytes are in network order.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace namewall {

class Address {
 public:
  Address() = default;  // ::
  static Address v4(std::array<std::uint8_t, 4> bytes);
  static Address v6(std::array<std::uint8_t, 16> bytes);

  bool is_v4() const;  // true for every v4-mapped form: the kernel sends both as IPv4
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  std::array<std::uint8_t, 4> v4_bytes() const;  // the last four bytes

  // "192.0.2.1", "2001:db8::1"; v4-mapped prints as IPv4.
  std::string to_string() const;
  friend auto operator<=>(const Address&, const Address&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

// Strict: four decimal parts without leading zeros for IPv4, RFC 4291 text for IPv6 (no zone, no brackets).
// Octal, hexadecimal, short and integer forms are not addresses.
std::optional<Address> parse_address(std::string_view text);

class Prefix {
 public:
  Prefix() = default;
  // length counts from the address's own family: 0..32 for IPv4, 0..128 for IPv6. Host bits are cleared.
  Prefix(Address base, std::uint8_t length, bool is_v4);
  static Prefix of(Address host);

  const Address& base() const { return base_; }
  std::uint8_t length() const { return length_; }
  bool is_v4() const { return is_v4_; }
  // ::/16 does not contain any IPv4 address: families are apart.
  bool contains(const Address& address) const;
  bool contains(const Prefix& other) const;
  bool is_single() const { return length_ == (is_v4_ ? 32 : 128); }
  std::string to_string() const;  // "10.0.0.0/8"; a single address prints without a length
  friend auto operator<=>(const Prefix&, const Prefix&) = default;

 private:
  Address base_;
  std::uint8_t length_ = 128;
  bool is_v4_ = false;
};

}  // namespace namewall
