#include "policy/blocked_networks.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "policy/escape.h"

namespace namewall {
namespace {

struct Network {
  const char* base;
  std::uint8_t length;
};

constexpr Network kPrivateIpv4[] = {
    {"0.0.0.0", 8},       // RFC 791, this network
    {"10.0.0.0", 8},      // RFC 1918
    {"100.64.0.0", 10},   // RFC 6598
    {"127.0.0.0", 8},     // RFC 1122
    {"169.254.0.0", 16},  // RFC 3927
    {"172.16.0.0", 12},   // RFC 1918
    // RFC 6890, 192.0.0.0/24: .9 and .10 are anycast addresses of the internet (RFC 7723, RFC 8155).
    {"192.0.0.0", 29},
    {"192.0.0.8", 32},
    {"192.0.0.11", 32},
    {"192.0.0.12", 30},
    {"192.0.0.16", 28},
    {"192.0.0.32", 27},
    {"192.0.0.64", 26},
    {"192.0.0.128", 25},
    {"192.0.2.0", 24},     // RFC 5737
    {"192.88.99.0", 24},   // RFC 7526
    {"192.168.0.0", 16},   // RFC 1918
    {"198.18.0.0", 15},    // RFC 2544
    {"198.51.100.0", 24},  // RFC 5737
    {"203.0.113.0", 24},   // RFC 5737
    {"224.0.0.0", 3},      // RFC 5771 multicast, RFC 1112 reserved, broadcast
};

// Beside these, everything between ::/3 and 64:ff9b::/96.
constexpr Network kPrivateIpv6[] = {
    {"4000::", 2},      {"8000::", 1},   // nothing is given away there; fc00::/7, fe80::/10, ff00::/8
    {"2001::", 23},                      // RFC 2928, with Teredo
    {"2001:db8::", 32}, {"3fff::", 20},  // RFC 3849, RFC 9637
};
constexpr std::uint8_t kFirstBits = 3;  // of ::/3
constexpr Network kNat64{"64:ff9b::", 96};

// What `carrier` makes of an IPv4 network: its bits behind the carrier's.
Prefix carried(const Network& carrier, const Prefix& network) {
  auto bytes = parse_address(carrier.base)->bytes();
  const auto inner = network.base().v4_bytes();
  std::copy(inner.begin(), inner.end(), bytes.begin() + carrier.length / 8);
  return Prefix(Address::v6(bytes), static_cast<std::uint8_t>(carrier.length + network.length()), false);
}

void add_with_forms(const Prefix& network, std::vector<Prefix>& prefixes) {
  constexpr Network kSixToFour{"2002::", 16}, kCompatible{"::", 96};
  prefixes.push_back(network);
  if (!network.is_v4()) return;
  for (const Network& carrier : {kNat64, kSixToFour, kCompatible}) prefixes.push_back(carried(carrier, network));
}

// The networks beside the way from ::/3 down to 64:ff9b::/96: all of the one without the other.
void add_all_but_nat64(std::vector<Prefix>& prefixes) {
  const auto nat64 = parse_address(kNat64.base)->bytes();
  for (unsigned bit = kFirstBits; bit < kNat64.length; ++bit) {
    auto beside = nat64;
    beside[bit / 8] ^= static_cast<std::uint8_t>(0x80u >> (bit % 8));
    prefixes.emplace_back(Address::v6(beside), static_cast<std::uint8_t>(bit + 1), false);
  }
}

std::vector<Prefix> without_covered(std::vector<Prefix> prefixes) {
  std::vector<Prefix> kept;
  for (const Prefix& prefix : prefixes) {
    const bool is_covered = std::any_of(prefixes.begin(), prefixes.end(),
                                        [&](const Prefix& other) { return other != prefix && other.contains(prefix); });
    if (!is_covered && std::find(kept.begin(), kept.end(), prefix) == kept.end()) kept.push_back(prefix);
  }
  return kept;
}

std::vector<Prefix> private_networks() {
  std::vector<Prefix> prefixes;
  for (const Network& network : kPrivateIpv4) {
    add_with_forms(Prefix(*parse_address(network.base), network.length, true), prefixes);
  }
  for (const Network& network : kPrivateIpv6)
    prefixes.emplace_back(*parse_address(network.base), network.length, false);
  add_all_but_nat64(prefixes);
  return without_covered(std::move(prefixes));
}

std::optional<unsigned> parse_length(std::string_view text, unsigned longest) {
  unsigned length = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), length);
  const bool is_whole = status == std::errc() && end == text.data() + text.size();
  return is_whole && length <= longest ? std::optional(length) : std::nullopt;
}

}  // namespace

Result<BlockedNetwork> parse_blocked_network(std::string_view text) {
  static const std::string kAccepted =
      "; accepted: \"private\", or a network such as \"198.51.100.0/24\" or \"2001:db8::/32\"";
  constexpr unsigned kMappedBits = 96;
  if (text == "private") return BlockedNetwork{private_networks(), ""};
  const auto refuse = [&](const std::string& why) {
    return fail(ErrorKind::kInvalid, quote_for_display(text) + " " + why);
  };
  const std::size_t slash = text.find('/');
  const std::string_view base_text = text.substr(0, slash);
  const std::optional<Address> base = parse_address(base_text);
  if (!base) return refuse("is no network" + kAccepted);
  const bool written_as_v4 = base_text.find(':') == std::string_view::npos;
  const unsigned longest = written_as_v4 ? 32 : 128;
  if (slash == std::string_view::npos) {
    return refuse("is an address; the network of it alone is `" + std::string(text) + "/" + std::to_string(longest) +
                  "`");
  }
  const std::optional<unsigned> length = parse_length(text.substr(slash + 1), longest);
  if (!length) return refuse("has no prefix length from 0 to " + std::to_string(longest) + kAccepted);
  const bool is_v4 = written_as_v4 || (base->is_v4() && *length >= kMappedBits);
  const Prefix network(*base, static_cast<std::uint8_t>(is_v4 && !written_as_v4 ? *length - kMappedBits : *length),
                       is_v4);
  BlockedNetwork blocked;
  add_with_forms(network, blocked.prefixes);
  if (network.base() != *base) {
    blocked.note = quote_for_display(text) + " has bits behind the prefix; the network is `" +
                   network.base().to_string() + "/" + std::to_string(network.length()) + "`";
  }
  return blocked;
}

}  // namespace namewall
