#include "policy/port_set.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <optional>

namespace namewall {
namespace {

constexpr Port kLastPort{65535};

Port next(Port port) { return {static_cast<std::uint16_t>(port.number + 1)}; }
Port previous(Port port) { return {static_cast<std::uint16_t>(port.number - 1)}; }

std::optional<PortRange> intersection(const PortRange& a, const PortRange& b) {
  const PortRange common{a.protocol, std::max(a.first, b.first), std::min(a.last, b.last)};
  if (a.protocol != b.protocol || common.last < common.first) return std::nullopt;
  return common;
}

std::string to_text(const PortRange& range) {
  if (range.first == Port{} && range.last == kLastPort) return "*";
  if (range.first == range.last) return std::to_string(range.first.number);
  return std::to_string(range.first.number) + "-" + std::to_string(range.last.number);
}

}  // namespace

std::string to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::kIcmp:
      return "icmp";
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
  }
  return "unknown";
}

PortSet::PortSet(std::vector<PortRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  for (const PortRange& range : ranges) {
    assert(range.first <= range.last);
    PortRange* const before = ranges_.empty() ? nullptr : &ranges_.back();
    const bool touches = before != nullptr && before->protocol == range.protocol &&
                         (before->last == kLastPort || range.first <= next(before->last));
    if (touches) {
      before->last = std::max(before->last, range.last);
    } else {
      ranges_.push_back(range);
    }
  }
}

PortSet PortSet::all() {
  return PortSet(
      {{Protocol::kIcmp, Port{}, Port{}}, {Protocol::kTcp, Port{}, kLastPort}, {Protocol::kUdp, Port{}, kLastPort}});
}

bool PortSet::contains(Protocol protocol, Port port) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const PortRange& range) {
    return range.protocol == protocol && range.first <= port && port <= range.last;
  });
}

PortSet PortSet::united(const PortSet& other) const {
  std::vector<PortRange> both = ranges_;
  both.insert(both.end(), other.ranges_.begin(), other.ranges_.end());
  return PortSet(std::move(both));
}

PortSet PortSet::minus(const PortSet& other) const {
  std::vector<PortRange> kept = ranges_;
  for (const PortRange& cut : other.ranges_) {
    std::vector<PortRange> rest;
    for (const PortRange& range : kept) {
      const auto common = intersection(range, cut);
      if (!common) {
        rest.push_back(range);
        continue;
      }
      if (range.first < common->first) rest.push_back({range.protocol, range.first, previous(common->first)});
      if (common->last < range.last) rest.push_back({range.protocol, next(common->last), range.last});
    }
    kept = std::move(rest);
  }
  return PortSet(std::move(kept));
}

PortSet PortSet::intersected(const PortSet& other) const {
  std::vector<PortRange> common;
  for (const PortRange& a : ranges_) {
    for (const PortRange& b : other.ranges_) {
      if (const auto range = intersection(a, b)) common.push_back(*range);
    }
  }
  return PortSet(std::move(common));
}

std::string PortSet::to_string() const {
  std::map<Protocol, std::string> ports;
  for (const PortRange& range : ranges_) {
    std::string& list = ports[range.protocol];
    list += (list.empty() ? "" : ",") + to_text(range);
  }
  std::string text;
  const auto append = [&text](const std::string& part) { text += (text.empty() ? "" : " ") + part; };
  const std::string tcp = ports[Protocol::kTcp];
  const std::string udp = ports[Protocol::kUdp];
  if (!tcp.empty() && tcp == udp) {
    append("tcp+udp/" + tcp);
  } else {
    if (!tcp.empty()) append("tcp/" + tcp);
    if (!udp.empty()) append("udp/" + udp);
  }
  if (!ports[Protocol::kIcmp].empty()) append("icmp");
  return text;
}

}  // namespace namewall
