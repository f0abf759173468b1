#include "policy/spin_address.h"

#include <algorithm>
#include <array>

#include "policy/spin_text.h"

namespace namewall {
namespace {

constexpr unsigned kMappedBits = 96;

Address without_host_bits(const SpinAddress& base, unsigned length) {
  const unsigned kept = base.is_v4 ? length + kMappedBits : length;
  std::array<std::uint8_t, 16> bytes = base.address.bytes();
  for (unsigned i = 0; i < bytes.size(); ++i) {
    const unsigned here = kept > i * 8 ? std::min(kept - i * 8, 8U) : 0;
    bytes[i] &= static_cast<std::uint8_t>(0xff00U >> here);
  }
  return Address::v6(bytes);
}

}  // namespace

std::string SpinAddress::to_string() const {
  const bool is_mapped = !is_v4 && address.is_v4();
  return (is_mapped ? "::ffff:" : "") + address.to_string();
}

std::optional<SpinAddress> parse_spin_address(std::string_view text) {
  const std::optional<Address> address = parse_address(text);
  if (!address) return std::nullopt;
  return SpinAddress{*address, text.find(':') == std::string_view::npos};
}

SpinNetwork::SpinNetwork(const SpinAddress& base, std::uint8_t length)
    : base_{without_host_bits(base, length), base.is_v4}, length_(length) {}

std::optional<SpinNetwork> SpinNetwork::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<SpinAddress> base = parse_spin_address(text.substr(0, slash));
  if (!base) return std::nullopt;
  const std::optional<std::uint32_t> length = parse_spin_number(text.substr(slash + 1), base->bits());
  if (!length) return std::nullopt;
  return SpinNetwork(*base, static_cast<std::uint8_t>(*length));
}

bool SpinNetwork::contains(const SpinAddress& address) const {
  return address.is_v4 == base_.is_v4 && without_host_bits(address, length_) == base_.address;
}

SpinNetwork SpinNetwork::parent() const { return {base_, static_cast<std::uint8_t>(length_ == 0 ? 0 : length_ - 1)}; }

std::string SpinNetwork::to_string() const { return base_.to_string() + "/" + std::to_string(length_); }

}  // namespace namewall
