// Sets of (protocol, port). Immutable value: disjoint, sorted, merged ranges.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

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

  // "tcp/443", "tcp/22,443 udp/123", "tcp+udp/*"
  std::string to_string() const;
  friend bool operator==(const PortSet&, const PortSet&) = default;

 private:
  std::vector<PortRange> ranges_;
};

}  // namespace namewall
