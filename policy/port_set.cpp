#include "policy/port_set.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <optional>

#include "policy/escape.h"

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

Result<Port> parse_port(std::string_view text) {
  const auto refuse = [text](const std::string& why) {
    return fail(ErrorKind::kInvalid, (text.empty() ? "nothing" : quote_for_display(text)) + why);
  };
  const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  if (!is_number) return refuse(" is not a port; write a number from 1 to 65535, a range such as `8000-8080`, or `*`");
  if (text == "0") return refuse(" is not a port that can be reached; ports begin at 1, and `*` is every port");
  if (text.front() == '0') return refuse(" begins with a zero; write a port as a plain decimal number");
  std::uint16_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size()) return refuse(" is beyond the last port, 65535");
  return Port{number};
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

std::string PortSet::list_of(Protocol protocol) const {
  std::string list;
  for (const PortRange& range : ranges_) {
    if (range.protocol == protocol) list += (list.empty() ? "" : ",") + to_text(range);
  }
  return list;
}

std::string PortSet::to_string() const {
  std::string text;
  const auto append = [&text](const std::string& part) { text += (text.empty() ? "" : " ") + part; };
  const std::string tcp = list_of(Protocol::kTcp);
  const std::string udp = list_of(Protocol::kUdp);
  if (!tcp.empty() && tcp == udp) {
    append("tcp+udp/" + tcp);
  } else {
    if (!tcp.empty()) append("tcp/" + tcp);
    if (!udp.empty()) append("udp/" + udp);
  }
  if (contains(Protocol::kIcmp, Port{})) append("icmp");
  return text;
}

Result<PortSet> parse_ports(std::string_view list, std::span<const Protocol> protocols) {
  std::vector<std::pair<Port, Port>> spans;
  if (list == "*") {
    spans.emplace_back(Port{}, kLastPort);
  } else {
    for (std::size_t begin = 0; begin <= list.size();) {
      const std::size_t end = std::min(list.find(',', begin), list.size());
      const std::string_view item = list.substr(begin, end - begin);
      const std::size_t dash = item.find('-');
      const auto first = parse_port(item.substr(0, dash));
      if (!first) return tl::unexpected(first.error());
      const auto last = dash == std::string_view::npos ? first : parse_port(item.substr(dash + 1));
      if (!last) return tl::unexpected(last.error());
      if (*last < *first) {
        return fail(ErrorKind::kInvalid,
                    "the port range " + quote_for_display(item) + " is empty: its end lies before its start");
      }
      spans.emplace_back(*first, *last);
      begin = end + 1;
    }
  }
  std::vector<PortRange> ranges;
  for (const Protocol protocol : protocols) {
    for (const auto& [first, last] : spans) ranges.push_back({protocol, first, last});
  }
  return PortSet(std::move(ranges));
}

}  // namespace namewall
