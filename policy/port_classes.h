// The (protocol, port) space cut into classes whose members none of the added sets tells apart. Classes are numbered in
// the order of their first port, so equal sets of sets give equal classes whatever the order of adding.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/port_set.h"

namespace namewall {

using PortMask = std::uint64_t;
inline constexpr unsigned kMaxPortClasses = 39;
inline constexpr PortMask kAskBit = PortMask{1} << 39;
inline constexpr PortMask kAllPorts = kAskBit - 1;
inline constexpr unsigned kMaxPortIntervals = 256;

// A place in the space: protocol index << 16 | port. ICMP is the single key 0; the keys up to TCP's first belong to it.
using PortKey = std::uint32_t;
PortKey port_key(Protocol protocol, Port port);

// The interval that begins at `start` and ends before the next one's belongs to class `port_class`.
struct PortInterval {
  PortKey start = 0;
  std::uint8_t port_class = 0;
  friend bool operator==(const PortInterval&, const PortInterval&) = default;
};

class PortClasses {
 public:
  // False, with the classes as before, when more than kMaxPortClasses classes or kMaxPortIntervals intervals would be
  // needed to tell `ports` from what is not in it.
  [[nodiscard]] bool add(const PortSet& ports);

  // Sorted by start; the first starts at 0; neighbours differ in class.
  const std::vector<PortInterval>& intervals() const { return intervals_; }

 private:
  std::vector<PortInterval> intervals_ = {{0, 0}};
};

// Of sorted intervals as above: one bit; the classes that lie wholly in `ports` (exact for sets that were added); the
// ports of a mask's classes.
PortMask class_of(const std::vector<PortInterval>& intervals, PortKey key);
PortMask classes_of(const std::vector<PortInterval>& intervals, const PortSet& ports);
PortSet ports_of(const std::vector<PortInterval>& intervals, PortMask mask);

}  // namespace namewall
