#include "nft/workload_elements.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace namewall::nft {
namespace {

struct AddressRange {
  Address first, last;
  PortSet ports;
};

const std::array kLoopbackPrefixes = {Prefix(Address::v4({127, 0, 0, 0}), 8, true), Prefix(Address::v4({}), 32, true),
                                      Prefix(Address(), 127, false)};

Address last_of(const Prefix& prefix) {
  auto bytes = prefix.base().bytes();
  const unsigned kept = prefix.is_v4() ? prefix.length() + 96u : prefix.length();
  for (unsigned bit = kept; bit < 128; ++bit) bytes[bit / 8] |= static_cast<std::uint8_t>(0x80u >> (bit % 8));
  return Address::v6(bytes);
}

// nullopt: there is no higher one in the family.
std::optional<Address> after(const Address& address, bool is_v4) {
  auto bytes = address.bytes();
  for (unsigned i = 16; i-- > (is_v4 ? 12u : 0u);) {
    if (++bytes[i] != 0) return Address::v6(bytes);
  }
  return std::nullopt;
}

Address before(const Address& address) {
  auto bytes = address.bytes();
  for (unsigned i = 16; i-- > 0;) {
    if (bytes[i]-- != 0) break;
  }
  return Address::v6(bytes);
}

PortMask denied_at(const PolicyImage& image, const Address& address) {
  const AddressDecision rules = decide_address(image, address);
  return (rules.deny | rules.host_deny) & kAllPorts;
}

PortSet resolver_ports(const PolicyImage& image, const Address& address) {
  std::vector<PortRange> ports;
  for (const ResolverAddress& resolver : image.resolvers) {
    if (resolver.address != address) continue;
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp})
      ports.push_back({protocol, resolver.port, resolver.port});
  }
  return PortSet(std::move(ports));
}

PortSet open_ports(const PolicyImage& image, const Address& address) {
  const AddressDecision rules = decide_address(image, address);
  const PortSet ports = image.ports_of(rules.allow & ~(rules.deny | rules.host_deny) & kAllPorts);
  return ports.empty() ? ports : ports.minus(resolver_ports(image, address));
}

PortSet closed_ports(const PolicyImage& image, const Address& address) {
  return is_loopback_destination(address) ? image.ports_of(denied_at(image, address)) : PortSet();
}

// The addresses of a family, cut where `ports_at` may change, with those ports; none where there are no ports.
std::vector<AddressRange> cut(const PolicyImage& image, bool is_v4,
                              PortSet (*ports_at)(const PolicyImage&, const Address&)) {
  const Prefix everything(is_v4 ? Address::v4({}) : Address(), 0, is_v4);
  std::vector<Address> starts{everything.base()};
  const auto add = [&](const Prefix& prefix) {
    if (prefix.is_v4() != is_v4) return;
    starts.push_back(prefix.base());
    if (const auto next = after(last_of(prefix), is_v4)) starts.push_back(*next);
  };
  for (const AddressNode& node : image.addresses) add(node.prefix);
  for (const ResolverAddress& resolver : image.resolvers) add(Prefix::of(resolver.address));
  for (const Prefix& loopback : kLoopbackPrefixes) add(loopback);
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());

  std::vector<AddressRange> ranges;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    PortSet ports = ports_at(image, starts[i]);
    const Address last = i + 1 < starts.size() ? before(starts[i + 1]) : last_of(everything);
    const bool continues =
        !ranges.empty() && ranges.back().ports == ports && after(ranges.back().last, is_v4) == starts[i];
    if (continues) {
      ranges.back().last = last;
    } else if (!ports.empty()) {
      ranges.push_back({starts[i], last, std::move(ports)});
    }
  }
  return ranges;
}

Element make_element(SetId set, Bytes key, Bytes key_end = {}) {
  Element element;
  element.set = set;
  element.key = std::move(key);
  element.key_end = std::move(key_end);
  return element;
}

void add_ranges(SetId set, const std::vector<AddressRange>& ranges, std::vector<Element>& elements) {
  for (const AddressRange& range : ranges) {
    for (const PortRange& ports : range.ports.ranges()) {
      elements.push_back(make_element(set, encode(endpoint_key(0, range.first, ports.protocol, ports.first)),
                                      encode(endpoint_key(0, range.last, ports.protocol, ports.last))));
    }
  }
}

void add_loopback(const PolicyImage& image, std::vector<Element>& elements) {
  if (image.loopback == Loopback::kNone) return;
  const bool is_any = image.loopback == Loopback::kAny;
  elements.push_back(make_element(is_any ? SetId::kLoopbackAny : SetId::kLoopbackOwn, encode_cgroup(0)));
  add_ranges(SetId::kClosed4, cut(image, true, closed_ports), elements);
  add_ranges(SetId::kClosed6, cut(image, false, closed_ports), elements);
}

void add_port_ranges(SetId set, const PortSet& ports, std::vector<Element>& elements) {
  for (const PortRange& range : ports.ranges()) {
    if (range.protocol == Protocol::kIcmp) continue;
    const std::uint8_t protocol = range.protocol == Protocol::kTcp ? IPPROTO_TCP : IPPROTO_UDP;
    elements.push_back(
        make_element(set, encode_port(0, protocol, range.first.number), encode_port(0, protocol, range.last.number)));
  }
}

void add_resolvers(const PolicyImage& image, std::vector<Element>& elements) {
  for (const ResolverAddress& resolver : image.resolvers) {
    const PortMask denied = denied_at(image, resolver.address);
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
      if ((image.mask_of(protocol, resolver.port) & denied) != 0) continue;
      elements.push_back(make_element(resolver.address.is_v4() ? SetId::kResolvers4 : SetId::kResolvers6,
                                      encode(endpoint_key(0, resolver.address, protocol, resolver.port))));
    }
  }
}

std::size_t count_ports(const PortSet& ports, Protocol protocol) {
  std::size_t count = 0;
  for (const PortRange& range : ports.ranges()) {
    if (range.protocol == protocol) count += std::size_t{range.last.number} - range.first.number + 1;
  }
  return count;
}

bool is_wide(const PolicyImage& image, PortMask port_class) {
  const PortSet ports = image.ports_of(port_class);
  return count_ports(ports, Protocol::kTcp) > kMaxListedPorts || count_ports(ports, Protocol::kUdp) > kMaxListedPorts;
}

// Wide classes that are in the same masks everywhere are one set.
std::vector<PortMask> wide_sets(const PolicyImage& image) {
  PortMask granted = 0;
  std::vector<PortMask> masks;
  const auto note = [&](const NameMasks& of_name) {
    granted |= of_name.allow & kAllPorts;
    masks.insert(masks.end(), {of_name.allow, of_name.allow_private, of_name.deny});
  };
  for (const NameNode& node : image.names) {
    for (const NameMasks& of_name : node.masks) note(of_name);
  }
  for (const Glob& glob : image.globs) note(glob.masks);
  for (const AddressNode& node : image.addresses) {
    const bool is_loopback = std::any_of(kLoopbackPrefixes.begin(), kLoopbackPrefixes.end(),
                                         [&](const Prefix& loopback) { return loopback.contains(node.prefix); });
    if (!is_loopback) masks.insert(masks.end(), {node.deny, node.host_deny});  // names never open loopback
  }

  std::vector<PortMask> sets;
  for (unsigned bit = 0; bit < kMaxPortClasses; ++bit) {
    const PortMask own = PortMask{1} << bit;
    if ((granted & own) == 0 || !is_wide(image, own)) continue;
    const auto same = std::find_if(sets.begin(), sets.end(), [&](PortMask set) {
      const PortMask other = set & ~(set - 1);
      return std::all_of(masks.begin(), masks.end(),
                         [&](PortMask mask) { return ((mask & own) != 0) == ((mask & other) != 0); });
    });
    if (same != sets.end()) {
      *same |= own;
    } else {
      sets.push_back(own);
    }
  }
  return sets;
}

SetId wide_ports(std::size_t index) { return static_cast<SetId>(static_cast<std::size_t>(SetId::kWidePorts1) + index); }

}  // namespace

Result<ImageElements> build_image_elements(const PolicyImage& image) {
  ImageElements built;
  built.wide = wide_sets(image);
  if (built.wide.size() > kWideSets) {
    return fail(ErrorKind::kLimit, "its names have " + std::to_string(built.wide.size()) +
                                       " different sets of more than " + std::to_string(kMaxListedPorts) +
                                       " ports: nftables has room for " + std::to_string(kWideSets) + " (" +
                                       image.ports_of(built.wide[kWideSets]).to_string() + " is one too many)");
  }
  if (image.mode == Mode::kAudit) built.fixed.push_back(make_element(SetId::kAudited, encode_cgroup(0)));
  add_loopback(image, built.fixed);
  add_resolvers(image, built.fixed);
  add_port_ranges(SetId::kListen, image.ports_of(image.listen & kAllPorts), built.fixed);
  for (std::size_t i = 0; i < built.wide.size(); ++i) {
    add_port_ranges(wide_ports(i), image.ports_of(built.wide[i]), built.fixed);
  }
  add_ranges(SetId::kFixed4, cut(image, true, open_ports), built.fixed);
  add_ranges(SetId::kFixed6, cut(image, false, open_ports), built.fixed);
  if (built.fixed.size() > kMaxFixed) {
    return fail(ErrorKind::kLimit, "its address rules are " + std::to_string(built.fixed.size()) +
                                       " ranges in nftables, denied ones subtracted: at most " +
                                       std::to_string(kMaxFixed));
  }
  return built;
}

Element with_cgroup(Element element, std::uint64_t cgroup_id) {
  std::memcpy(element.key.data(), &cgroup_id, sizeof(cgroup_id));
  if (!element.key_end.empty()) std::memcpy(element.key_end.data(), &cgroup_id, sizeof(cgroup_id));
  return element;
}

}  // namespace namewall::nft
