// The learned elements of workload_elements.h.
#include <netinet/in.h>

#include <algorithm>
#include <tuple>

#include "nft/workload_elements.h"
#include "policy/image_hash.h"
#include "policy/name_node.h"

namespace namewall::nft {
namespace {

SetId wide_addresses(std::size_t index, bool is_v4) {
  return static_cast<SetId>(static_cast<std::size_t>(is_v4 ? SetId::kWide1_4 : SetId::kWide1_6) + index);
}

auto place_of(const GrantPart& part) { return std::tuple(part.set, part.ip_protocol, part.port); }

// What a name gives an address: places of parts, without deadline and comment.
class Places {
 public:
  Places(const PolicyImage& image, const ImageElements& elements, const Address& address)
      : image_(image), elements_(elements), is_v4_(address.is_v4()), is_loopback_(is_loopback_destination(address)) {
    const AddressDecision rules = decide_address(image, address);
    denied_ = rules.deny | rules.host_deny;
    for (const ResolverAddress& resolver : image.resolvers) {
      if (resolver.address == address) resolver_ports_.push_back(resolver.port);
    }
  }

  template <typename Visit>
  void each(PortMask ports, const Visit& visit) const {
    if (is_loopback_) return;  // names never open it
    PortMask left = ports & kAllPorts & ~denied_;
    for (std::size_t i = 0; i < elements_.wide.size(); ++i) {
      const PortMask wide = elements_.wide[i];
      if ((left & wide) == 0) continue;
      // Part of a set that no rule tells apart comes from no decision of this image.
      if ((left & wide) == wide) visit_wide(i, wide, visit);
      left &= ~wide;
    }
    if (left == 0) return;
    const PortSet listed = image_.ports_of(left);
    for (const PortRange& range : listed.ranges()) {
      if (range.protocol == Protocol::kIcmp) {
        visit(icmp());
        continue;
      }
      const std::uint8_t protocol = range.protocol == Protocol::kTcp ? IPPROTO_TCP : IPPROTO_UDP;
      // So many together are a class that no rule of this image grants to a name.
      const std::size_t count = std::size_t{range.last.number} - range.first.number + 1;
      if (count > kMaxListedPorts * kMaxPortClasses) continue;
      for (std::uint32_t port = range.first.number; port <= range.last.number; ++port) {
        if (!is_resolver(static_cast<std::uint16_t>(port)))
          visit({.set = learned(), .ip_protocol = protocol, .port = static_cast<std::uint16_t>(port)});
      }
    }
  }

 private:
  SetId learned() const { return is_v4_ ? SetId::kLearned4 : SetId::kLearned6; }

  GrantPart icmp() const {
    if (is_v4_) return {.set = learned(), .ip_protocol = IPPROTO_ICMP, .port = kEchoRequest4};
    return {.set = learned(), .ip_protocol = IPPROTO_ICMPV6, .port = kEchoRequest6};
  }

  bool is_resolver(std::uint16_t port) const {
    return std::find(resolver_ports_.begin(), resolver_ports_.end(), Port{port}) != resolver_ports_.end();
  }

  template <typename Visit>
  void visit_wide(std::size_t index, PortMask wide, const Visit& visit) const {
    const PortSet ports = image_.ports_of(wide);
    bool has_tcp = false, has_udp = false;
    for (const PortRange& range : ports.ranges()) {
      if (range.protocol == Protocol::kIcmp) visit(icmp());
      has_tcp |= range.protocol == Protocol::kTcp;
      has_udp |= range.protocol == Protocol::kUdp;
    }
    // A resolver's port among them is judged by the rules before: they ask `resolvers` first.
    if (has_tcp) visit({.set = wide_addresses(index, is_v4_), .ip_protocol = IPPROTO_TCP, .port = 0});
    if (has_udp) visit({.set = wide_addresses(index, is_v4_), .ip_protocol = IPPROTO_UDP, .port = 0});
  }

  const PolicyImage& image_;
  const ImageElements& elements_;
  bool is_v4_, is_loopback_;
  PortMask denied_ = 0;
  std::vector<Port> resolver_ports_;
};

// The text of what lets a name teach: its own rule, a glob, or the nearest wildcard above.
std::string pattern_of(const PolicyImage& image, const DomainName& name) {
  if (find_name_node(image, name.text(), false) != nullptr) return name.text();
  for (const Glob& glob : image.globs) {
    if ((glob.masks.allow & kAllPorts) != 0 && glob.pattern.matches(name)) return glob.pattern.text();
  }
  const std::string_view text = name.text();
  bool is_next = true;
  for (std::size_t dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.', dot + 1)) {
    if (const NameNode* below = find_name_node(image, text.substr(dot + 1), true)) {
      const bool is_plain = is_next && below->masks[1].allow != below->masks[0].allow;
      return (is_plain ? "*." : "**.") + below->name;
    }
    is_next = false;
  }
  return "*";
}

}  // namespace

std::string describe_rule(const PolicyImage& image, const DomainName& name) {
  const PortSet ports = image.ports_of(decide_name(image, name).allow & kAllPorts);
  if (ports.empty()) return {};
  const std::string pattern = pattern_of(image, name);
  const bool is_tcp = std::all_of(ports.ranges().begin(), ports.ranges().end(),
                                  [](const PortRange& range) { return range.protocol == Protocol::kTcp; });
  return is_tcp ? pattern + ":" + ports.list_of(Protocol::kTcp) : pattern + " " + ports.to_string();
}

std::vector<CommentedPart> build_grant_parts(const PolicyImage& image, const ImageElements& elements,
                                             const Address& address, const std::vector<Grant>& grants, BootTime now) {
  struct Entry {
    GrantPart part;
    const Grant* first;
    unsigned names;
  };
  std::vector<Entry> entries;
  const Places places(image, elements, address);
  for (const Grant& grant : grants) {
    if (!grant.is_live(now)) continue;
    places.each(grant.ports, [&](GrantPart part) {
      part.deadline = grant.deadline;
      entries.push_back({part, &grant, 1});
    });
  }
  // Grants come in the order of names: the first of a place gives it its comment.
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return place_of(a.part) < place_of(b.part); });
  std::vector<CommentedPart> parts;
  const Grant* described = nullptr;
  std::string rule;
  for (std::size_t i = 0; i < entries.size();) {
    Entry entry = entries[i];
    for (++i; i < entries.size() && place_of(entries[i].part) == place_of(entry.part); ++i) {
      entry.part.deadline = std::max(entry.part.deadline, entries[i].part.deadline);
      if (entries[i].first->name != entries[i - 1].first->name) ++entry.names;
    }
    if (described != entry.first) rule = describe_rule(image, entry.first->name);
    described = entry.first;
    std::string comment = to_comment(GrantComment{entry.first->name.text(), entry.names - 1, rule});
    entry.part.comment_hash = hash_bytes(comment);
    parts.push_back({entry.part, std::move(comment)});
  }
  return parts;
}

void sort_parts(std::vector<HeldPart>& parts) {
  std::sort(parts.begin(), parts.end(),
            [](const HeldPart& a, const HeldPart& b) { return place_of(a.part) < place_of(b.part); });
}

Element to_element(std::uint64_t cgroup_id, const Address& address, const CommentedPart& part, BootTime now) {
  Element element = to_element(cgroup_id, address, part.part, now);
  element.comment = part.comment;
  return element;
}

Element to_element(std::uint64_t cgroup_id, const Address& address, const GrantPart& part, BootTime now) {
  Element element;
  element.set = part.set;
  const bool is_listed = part.set == SetId::kLearned4 || part.set == SetId::kLearned6;
  element.key = is_listed ? encode(EndpointKey{cgroup_id, address, part.ip_protocol, part.port})
                          : encode_address(cgroup_id, address, part.ip_protocol);
  if (part.deadline != kNever) {
    element.timeout = std::max(part.deadline - now, Nanoseconds(std::chrono::milliseconds(1)));
    element.expires = element.timeout;
  }
  return element;
}

PartChanges changes_between(const std::vector<HeldPart>& held, std::vector<CommentedPart> wanted, BootTime now) {
  PartChanges changes;
  // One way through both: they are sorted alike.
  auto old = held.begin();
  const auto leave = [&] {
    if (old->part.deadline > now) changes.remove.push_back(old->part);
    ++old;
  };
  for (CommentedPart& part : wanted) {
    while (old != held.end() && place_of(old->part) < place_of(part.part)) leave();
    if (old == held.end() || place_of(old->part) != place_of(part.part)) {
      changes.after.push_back({part.part, now});
      changes.add.push_back(std::move(part));
      continue;
    }
    const HeldPart& has = *old++;
    changes.after.push_back({part.part, now});
    const bool was_forever = has.part.deadline == kNever, is_forever = part.part.deadline == kNever;
    // The kernel may have dropped an expired one any moment: to it, it is a new one with the room taken.
    const bool is_over = !was_forever && has.part.deadline <= now;
    if (is_over || was_forever != is_forever || has.part.comment_hash != part.part.comment_hash) {
      changes.replace.push_back(std::move(part));
    } else if (part.part.deadline < has.part.deadline) {
      changes.renew.push_back(std::move(part));
    } else if (part.part.deadline > has.part.deadline) {
      const Nanoseconds half = (has.part.deadline - has.set_at) / 2;
      const BootTime due = has.set_at + half;
      if (now < due && part.part.deadline - has.part.deadline < half) {
        changes.due = std::min(changes.due, due);
        changes.after.back() = has;
      } else {
        changes.renew.push_back(std::move(part));
      }
    } else {
      changes.after.back() = has;
    }
  }
  while (old != held.end()) leave();
  return changes;
}

}  // namespace namewall::nft
