#include "policy/address_fold.h"

#include <algorithm>
#include <map>

#include "policy/host_rules.h"

namespace namewall {
namespace {

const Prefix kEveryIpv4(Address::v4({}), 0, true);
const Prefix kEveryIpv6(Address(), 0, false);
const std::array kLoopback = {Prefix(Address::v4({127, 0, 0, 0}), 8, true), Prefix(Address::v4({}), 32, true),
                              Prefix(Address(), 127, false)};  // ::1 and ::

bool is_loopback(const Prefix& prefix) {
  return std::any_of(kLoopback.begin(), kLoopback.end(),
                     [&](const Prefix& loopback) { return loopback.contains(prefix); });
}

std::vector<Prefix> prefixes_of(const Host& host) {
  if (std::holds_alternative<AnyHost>(host)) return {kEveryIpv4, kEveryIpv6};
  if (const auto* prefix = std::get_if<Prefix>(&host)) return {*prefix};
  return {};
}

// Those of the resolver's that the block would close.
PortSet spared_by(const Rule& block, const ResolverAddress& resolver) {
  const std::vector<Prefix> prefixes = prefixes_of(block.endpoint.host);
  const bool is_met = std::any_of(prefixes.begin(), prefixes.end(),
                                  [&](const Prefix& prefix) { return prefix.contains(resolver.address); });
  const Port port = resolver.port;
  const PortSet ports({{Protocol::kTcp, port, port}, {Protocol::kUdp, port, port}});
  return is_met ? ports.intersected(block.endpoint.ports) : PortSet();
}

// What rules say of one prefix, the shorter ones not folded in.
struct Own {
  PortMask allow = 0, deny = 0, host_deny = 0;
  PortMask blocked = 0;          // by the host, resolvers spared
  PortMask blocked_foreign = 0;  // likewise, and the own loopback spared
  PortMask spared = 0;           // of a resolver's address
};

class AddressFold {
 public:
  explicit AddressFold(const PolicyImage& image) : image_(image) {}

  void add(const std::vector<Rule>& rules, PortMask Own::*field) {
    for (const Rule& rule : rules) add(rule, field);
  }

  void add_blocks(const std::vector<Rule>& blocks) {
    for (const Rule& block : blocks) {
      add(block, spares_own_loopback(block) ? &Own::blocked_foreign : &Own::blocked);
      for (const ResolverAddress& resolver : image_.resolvers) {
        const PortSet spared = spared_by(block, resolver);
        if (!spared.empty()) nodes_[Prefix::of(resolver.address)].spared |= image_.mask_of(spared);
      }
    }
  }

  void open_loopback() {
    for (const Prefix& loopback : kLoopback) nodes_[loopback].allow |= kAllPorts;
  }

  std::vector<AddressNode> fold() {
    const bool may_cover_loopback = std::any_of(nodes_.begin(), nodes_.end(), [](const auto& entry) {
      return std::any_of(kLoopback.begin(), kLoopback.end(),
                         [&](const Prefix& loopback) { return entry.first.contains(loopback); });
    });
    if (may_cover_loopback) {
      for (const Prefix& loopback : kLoopback) nodes_.try_emplace(loopback);
    }
    std::vector<AddressNode> folded;
    for (const auto& [prefix, own] : nodes_) folded.push_back(fold_one(prefix, own));
    return folded;
  }

 private:
  void add(const Rule& rule, PortMask Own::*field) {
    for (const Prefix& prefix : prefixes_of(rule.endpoint.host)) {
      nodes_[prefix].*field |= image_.mask_of(rule.endpoint.ports);
    }
  }

  AddressNode fold_one(const Prefix& prefix, const Own& own) const {
    Own all = own;
    for (unsigned length = 0; length < prefix.length(); ++length) {
      const auto shorter = nodes_.find(Prefix(prefix.base(), static_cast<std::uint8_t>(length), prefix.is_v4()));
      if (shorter == nodes_.end()) continue;
      if (is_loopback(prefix) == is_loopback(shorter->first)) all.allow |= shorter->second.allow;
      all.deny |= shorter->second.deny;
      all.host_deny |= shorter->second.host_deny;
      all.blocked |= shorter->second.blocked;
      all.blocked_foreign |= shorter->second.blocked_foreign;
    }
    if (is_loopback(prefix)) {
      all.allow &= ~all.blocked_foreign;
    } else {
      all.blocked |= all.blocked_foreign;
    }
    return {prefix, all.allow, all.deny, all.host_deny | (all.blocked & ~all.spared)};
  }

  const PolicyImage& image_;
  std::map<Prefix, Own> nodes_;
};

}  // namespace

bool is_loopback_destination(const Address& address) { return is_loopback(Prefix::of(address)); }

std::vector<PortSet> spared_ports(const std::vector<Rule>& blocks, const std::vector<ResolverAddress>& resolvers) {
  std::vector<PortSet> sets;
  for (const ResolverAddress& resolver : resolvers) {
    for (const Rule& block : blocks) {
      PortSet spared = spared_by(block, resolver);
      if (!spared.empty()) sets.push_back(std::move(spared));
    }
  }
  return sets;
}

void fold_addresses(const Policy& policy, const HostPolicy& host, const std::vector<Rule>& blocks, PolicyImage& image) {
  AddressFold fold(image);
  fold.add(policy.allow, &Own::allow);
  fold.add(policy.deny, &Own::deny);
  fold.add(host.deny, &Own::host_deny);
  fold.add_blocks(blocks);

  const bool closes_loopback = std::any_of(blocks.begin(), blocks.end(), spares_own_loopback);
  if (closes_loopback && image.loopback == Loopback::kAny) image.loopback = Loopback::kOwn;
  if (!image.may_listen) {
    image.listen = 0;
    if (image.loopback == Loopback::kAny) fold.open_loopback();
    image.loopback = Loopback::kNone;
  }
  for (const Rule& block : blocks) {
    const bool is_everywhere = std::holds_alternative<AnyHost>(block.endpoint.host);
    if (is_everywhere) image.listen &= ~image.mask_of(block.endpoint.ports);
  }
  image.addresses = fold.fold();
}

}  // namespace namewall
