#include "policy/special_use.h"

#include <algorithm>
#include <span>

namespace namewall {
namespace {

struct Ipv4Block {
  std::uint32_t base;
  std::uint32_t mask;
  SpecialUse use;
};

constexpr std::uint32_t ipv4(unsigned a, unsigned b, unsigned c, unsigned d) { return a << 24 | b << 16 | c << 8 | d; }

constexpr Ipv4Block kIpv4Blocks[] = {
    {ipv4(10, 0, 0, 0), 0xff000000, SpecialUse::kPrivate},       // RFC 1918
    {ipv4(172, 16, 0, 0), 0xfff00000, SpecialUse::kPrivate},     // RFC 1918
    {ipv4(192, 168, 0, 0), 0xffff0000, SpecialUse::kPrivate},    // RFC 1918
    {ipv4(100, 64, 0, 0), 0xffc00000, SpecialUse::kPrivate},     // RFC 6598, carrier-grade NAT
    {ipv4(0, 0, 0, 0), 0xff000000, SpecialUse::kForbidden},      // RFC 791, this host
    {ipv4(127, 0, 0, 0), 0xff000000, SpecialUse::kForbidden},    // RFC 1122, loopback
    {ipv4(169, 254, 0, 0), 0xffff0000, SpecialUse::kForbidden},  // RFC 3927, link-local and cloud metadata
    {ipv4(192, 0, 0, 0), 0xffffff00, SpecialUse::kForbidden},    // RFC 6890, protocol assignments
    {ipv4(192, 88, 99, 0), 0xffffff00, SpecialUse::kForbidden},  // RFC 7526, 6to4 relays
    {ipv4(198, 18, 0, 0), 0xfffe0000, SpecialUse::kForbidden},   // RFC 2544, benchmarking
    {ipv4(224, 0, 0, 0), 0xe0000000, SpecialUse::kForbidden},    // RFC 5771 multicast, RFC 1112 reserved, broadcast
};

std::uint32_t read_ipv4(const std::array<std::uint8_t, 16>& bytes, std::size_t at) {
  return ipv4(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
}

SpecialUse classify_ipv4(std::uint32_t address) {
  for (const Ipv4Block& block : kIpv4Blocks) {
    if ((address & block.mask) == block.base) return block.use;
  }
  return SpecialUse::kPublic;
}

SpecialUse classify_embedded(std::uint32_t address) {
  return classify_ipv4(address) == SpecialUse::kPublic ? SpecialUse::kPublic : SpecialUse::kForbidden;
}

template <std::size_t N>
bool begins_with(const std::array<std::uint8_t, 16>& bytes, const std::array<std::uint8_t, N>& prefix) {
  return std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::array<std::uint8_t, 12> kNat64 = {0, 0x64, 0xff, 0x9b};
constexpr std::array<std::uint8_t, 4> kTeredo = {0x20, 0x01};
constexpr std::array<std::uint8_t, 2> kSixToFour = {0x20, 0x02};

// The embedded addresses as numbers: at most two.
struct Embedded {
  std::array<std::uint32_t, 2> addresses{};
  std::size_t count = 0;
};

Embedded find_embedded(const std::array<std::uint8_t, 16>& bytes) {
  if (begins_with(bytes, kNat64)) return {{read_ipv4(bytes, 12)}, 1};
  if (begins_with(bytes, kTeredo)) return {{read_ipv4(bytes, 4), ~read_ipv4(bytes, 12)}, 2};
  if (begins_with(bytes, kSixToFour)) return {{read_ipv4(bytes, 2)}, 1};
  return {};
}

}  // namespace

SpecialUse classify_address(const Address& address, bool from_aaaa) {
  const auto& bytes = address.bytes();
  if (begins_with(bytes, kMapped)) {
    return from_aaaa ? classify_embedded(read_ipv4(bytes, 12)) : classify_ipv4(read_ipv4(bytes, 12));
  }
  if (const Embedded embedded = find_embedded(bytes); embedded.count != 0) {
    const auto used = std::span(embedded.addresses).first(embedded.count);
    const bool all_public = std::all_of(
        used.begin(), used.end(), [](std::uint32_t inner) { return classify_embedded(inner) == SpecialUse::kPublic; });
    return all_public ? SpecialUse::kPublic : SpecialUse::kForbidden;
  }
  if ((bytes[0] & 0xfe) == 0xfc) return SpecialUse::kPrivate;                                         // fc00::/7
  if ((bytes[0] & 0xe0) != 0x20) return SpecialUse::kForbidden;                                       // 2000::/3
  if (bytes[0] == 0x20 && bytes[1] == 0x01 && (bytes[2] & 0xfe) == 0) return SpecialUse::kForbidden;  // 2001::/23
  return SpecialUse::kPublic;
}

std::vector<Address> embedded_ipv4(const Address& address) {
  const Embedded embedded = find_embedded(address.bytes());
  std::vector<Address> addresses;
  for (std::size_t i = 0; i < embedded.count; ++i) {
    const std::uint32_t a = embedded.addresses[i];
    const auto byte = [a](unsigned shift) { return static_cast<std::uint8_t>(a >> shift); };
    addresses.push_back(Address::v4({byte(24), byte(16), byte(8), byte(0)}));
  }
  return addresses;
}

}  // namespace namewall
