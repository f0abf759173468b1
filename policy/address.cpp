#include "policy/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cassert>

namespace namewall {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::uint8_t kMappedBits = 96;

// Clears everything behind the first `bits` bits.
std::array<std::uint8_t, 16> without_host_bits(std::array<std::uint8_t, 16> bytes, unsigned bits) {
  for (unsigned i = 0; i < bytes.size(); ++i) {
    const unsigned kept = bits > i * 8 ? std::min(bits - i * 8, 8U) : 0;
    bytes[i] &= static_cast<std::uint8_t>(0xff00U >> kept);
  }
  return bytes;
}

}  // namespace

Address Address::v4(std::array<std::uint8_t, 4> bytes) {
  Address address;
  std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.bytes_.begin());
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin() + kMappedPrefix.size());
  return address;
}

Address Address::v6(std::array<std::uint8_t, 16> bytes) {
  Address address;
  address.bytes_ = bytes;
  return address;
}

bool Address::is_v4() const { return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin()); }

std::array<std::uint8_t, 4> Address::v4_bytes() const { return {bytes_[12], bytes_[13], bytes_[14], bytes_[15]}; }

std::string Address::to_string() const {
  char text[INET6_ADDRSTRLEN];
  const void* source = is_v4() ? bytes_.data() + kMappedPrefix.size() : bytes_.data();
  return inet_ntop(is_v4() ? AF_INET : AF_INET6, source, text, sizeof text);
}

std::optional<Address> parse_address(std::string_view text) {
  // inet_pton is as strict as the contract, but reads a C string.
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  if (std::array<std::uint8_t, 4> v4{}; inet_pton(AF_INET, terminated.c_str(), v4.data()) == 1) return Address::v4(v4);
  if (std::array<std::uint8_t, 16> v6{}; inet_pton(AF_INET6, terminated.c_str(), v6.data()) == 1) {
    return Address::v6(v6);
  }
  return std::nullopt;
}

Prefix::Prefix(Address base, std::uint8_t length, bool is_v4) : length_(length), is_v4_(is_v4) {
  assert(length <= (is_v4 ? 32 : 128));
  assert(!is_v4 || base.is_v4());
  base_ = Address::v6(without_host_bits(base.bytes(), is_v4 ? length + kMappedBits : length));
}

Prefix Prefix::of(Address host) {
  const bool is_v4 = host.is_v4();
  return {host, static_cast<std::uint8_t>(is_v4 ? 32 : 128), is_v4};
}

bool Prefix::contains(const Address& address) const {
  if (address.is_v4() != is_v4_) return false;
  return without_host_bits(address.bytes(), is_v4_ ? length_ + kMappedBits : length_) == base_.bytes();
}

bool Prefix::contains(const Prefix& other) const {
  return other.is_v4_ == is_v4_ && other.length_ >= length_ &&
         without_host_bits(other.base_.bytes(), is_v4_ ? length_ + kMappedBits : length_) == base_.bytes();
}

std::string Prefix::to_string() const {
  return is_single() ? base_.to_string() : base_.to_string() + "/" + std::to_string(length_);
}

}  // namespace namewall
