// Sets of (protocol, port). Immutable value: disjoint, sorted, merged ranges.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.h"

namespace namewall {

// The values are the kernel's index of the protocol in a port key (bpf/abi.h), not IP protocol numbers.
enum class Protocol : std::uint8_t { kIcmp = 0, kTcp = 1, kUdp = 2 };

std::string to_string(Protocol protocol);  // "icmp", "tcp", "udp"

struct Port {
  std::uint16_t number = 0;
  friend auto operator<=>(const Port&, const Port&) = default;
};

struct PortRange {
  Protocol protocol = Protocol::kTcp;
  Port first;
  Port last;  // inclusive
  friend auto operator<=>(const PortRange&, const PortRange&) = default;
};

class PortSet {
 public:
  PortSet() = default;
  explicit PortSet(std::vector<PortRange> ranges);  // any order, may overlap
  static PortSet all();                             // every TCP and UDP port, and ICMP echo

  bool empty() const { return ranges_.empty(); }
  bool contains(Protocol protocol, Port port) const;  // ICMP echo is port 0
  const std::vector<PortRange>& ranges() const { return ranges_; }

  PortSet united(const PortSet& other) const;
  PortSet minus(const PortSet& other) const;
  PortSet intersected(const PortSet& other) const;

  // The ports of one protocol as parse_ports reads them: "22,80-90", "*", "" when there are none.
  std::string list_of(Protocol protocol) const;
  // "tcp/443", "tcp/22,443 udp/123", "tcp+udp/*"
  std::string to_string() const;
  friend bool operator==(const PortSet&, const PortSet&) = default;

 private:
  std::vector<PortRange> ranges_;
};

// "*" (0 to 65535), "N", "N-M" (both ends included) or a comma list of the last two, for each of `protocols`.
// Errors say what stands there and what is accepted: 0, empty ranges, leading zeros, anything above 65535.
Result<PortSet> parse_ports(std::string_view list, std::span<const Protocol> protocols);

}  // namespace namewall
