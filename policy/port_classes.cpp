#include "policy/port_classes.h"

#include <algorithm>
#include <map>

namespace namewall {
namespace {

constexpr PortKey kTcpKeys = 0x10000, kEndOfKeys = 0x30000;

struct KeyRange {
  PortKey begin, end;  // end is outside
};

// Sorted and disjoint, as the ranges of a PortSet are.
std::vector<KeyRange> key_ranges_of(const PortSet& ports) {
  std::vector<KeyRange> keys;
  for (const PortRange& range : ports.ranges()) {
    if (range.protocol != Protocol::kIcmp) {
      keys.push_back({port_key(range.protocol, range.first), port_key(range.protocol, range.last) + 1});
    } else if (range.first == Port{}) {
      keys.push_back({0, kTcpKeys});
    }
  }
  return keys;
}

bool contains(const std::vector<KeyRange>& ranges, PortKey key) {
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), key,
                                      [](PortKey k, const KeyRange& range) { return k < range.begin; });
  return after != ranges.begin() && key < std::prev(after)->end;
}

const PortInterval& interval_at(const std::vector<PortInterval>& intervals, PortKey key) {
  const auto after = std::upper_bound(intervals.begin(), intervals.end(), key,
                                      [](PortKey k, const PortInterval& interval) { return k < interval.start; });
  return *std::prev(after);
}

PortMask bit_of(const PortInterval& interval) { return PortMask{1} << interval.port_class; }

PortKey end_of(const std::vector<PortInterval>& intervals, std::size_t index) {
  return index + 1 < intervals.size() ? intervals[index + 1].start : kEndOfKeys;
}

}  // namespace

PortKey port_key(Protocol protocol, Port port) {
  return PortKey{static_cast<std::uint8_t>(protocol)} << 16 | port.number;
}

bool PortClasses::add(const PortSet& ports) {
  const std::vector<KeyRange> ranges = key_ranges_of(ports);
  std::vector<PortKey> starts;
  for (const PortInterval& interval : intervals_) starts.push_back(interval.start);
  for (const KeyRange& range : ranges) {
    starts.push_back(range.begin);
    if (range.end < kEndOfKeys) starts.push_back(range.end);
  }
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());

  std::map<std::pair<std::uint8_t, bool>, std::uint8_t> refined;
  std::vector<PortInterval> intervals;
  for (const PortKey start : starts) {
    const std::pair key(interval_at(intervals_, start).port_class, contains(ranges, start));
    const auto port_class = refined.emplace(key, static_cast<std::uint8_t>(refined.size())).first->second;
    if (refined.size() > kMaxPortClasses) return false;
    if (!intervals.empty() && intervals.back().port_class == port_class) continue;
    intervals.push_back({start, port_class});
  }
  if (intervals.size() > kMaxPortIntervals) return false;
  intervals_ = std::move(intervals);
  return true;
}

PortMask class_of(const std::vector<PortInterval>& intervals, PortKey key) {
  return bit_of(interval_at(intervals, key));
}

PortMask classes_of(const std::vector<PortInterval>& intervals, const PortSet& ports) {
  const std::vector<KeyRange> ranges = key_ranges_of(ports);
  PortMask inside = 0, outside = 0;
  const auto note = [&](PortKey key) { (contains(ranges, key) ? inside : outside) |= class_of(intervals, key); };
  for (const PortInterval& interval : intervals) note(interval.start);
  for (const KeyRange& range : ranges) {
    note(range.begin);
    if (range.end < kEndOfKeys) note(range.end);
  }
  return inside & ~outside;
}

PortSet ports_of(const std::vector<PortInterval>& intervals, PortMask mask) {
  std::vector<PortRange> ranges;
  for (std::size_t i = 0; i < intervals.size(); ++i) {
    if ((mask & bit_of(intervals[i])) == 0) continue;
    if (intervals[i].start == 0) ranges.push_back({Protocol::kIcmp, Port{}, Port{}});
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
      const PortKey first = std::max(intervals[i].start, port_key(protocol, Port{}));
      const PortKey end = std::min(end_of(intervals, i), port_key(protocol, Port{65535}) + 1);
      if (first >= end) continue;
      ranges.push_back({protocol, Port{static_cast<std::uint16_t>(first)}, Port{static_cast<std::uint16_t>(end - 1)}});
    }
  }
  return PortSet(std::move(ranges));
}

}  // namespace namewall
