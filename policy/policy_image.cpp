#include "policy/policy_image.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "policy/learning.h"
#include "policy/name_fold.h"
#include "policy/name_node.h"

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

Result<void> classify_ports(const Policy& policy, const HostPolicy& host, PolicyImage& image) {
  PortClasses classes;
  const auto too_fine = [](const Origin& origin, const std::string& what) {
    return fail(ErrorKind::kLimit,
                origin.to_string() + ": " + what + " asks for one distinction of ports too many: at most " +
                    std::to_string(kMaxPortClasses) + " groups of ports and " + std::to_string(kMaxPortIntervals) +
                    " ranges in one policy, `listen` and host denies included");
  };
  if (!classes.add(policy.listen)) return too_fine(policy.origin, "`listen`");
  for (const std::vector<Rule>* rules : {&policy.allow, &policy.deny, &host.deny}) {
    for (const Rule& rule : *rules) {
      if (!classes.add(rule.endpoint.ports)) return too_fine(rule.origin, "`" + rule.endpoint.text + "`");
    }
  }
  image.ports = classes.intervals();
  image.listen = image.mask_of(policy.listen);
  return {};
}

PortMask deny_mask(const PolicyImage& image, const PortSet& ports) {
  return image.mask_of(ports) | (ports == PortSet::all() ? kAskBit : 0);
}

std::vector<DomainName> search_domains(const DnsSettings& dns, const ResolvConf& system) {
  std::vector<DomainName> domains;
  if (dns.search_from_system) domains = system.search;
  domains.insert(domains.end(), dns.search.begin(), dns.search.end());
  std::sort(domains.begin(), domains.end());
  domains.erase(std::unique(domains.begin(), domains.end()), domains.end());
  return domains;
}

class NameRules {
 public:
  explicit NameRules(const std::vector<DomainName>& search) : search_(search) {}

  void add(const Rule& rule, const NameMasks& masks) {
    if (std::holds_alternative<AnyHost>(rule.endpoint.host)) fold_.add_every_name(masks);
    if (const auto* pattern = std::get_if<NamePattern>(&rule.endpoint.host)) fold_.add_pattern(*pattern, masks, rule);
  }

  void add_search_forms(const Rule& rule) {
    const auto* pattern = std::get_if<NamePattern>(&rule.endpoint.host);
    if (pattern == nullptr) return;
    for (const DomainName& domain : search_) {
      const NamePattern form = pattern->with_suffix(domain);
      if (form.text().size() > kMaxNameLength) continue;
      fold_.add_pattern(form, {.allow = kAskBit, .allow_private = 0, .deny = 0}, rule);
    }
  }

  const NameFold& fold() const { return fold_; }

 private:
  const std::vector<DomainName>& search_;
  NameFold fold_;
};

Result<void> fold_names(const Policy& policy, const HostPolicy& host, const ResolvConf& system, PolicyImage& image) {
  const std::vector<DomainName> search = search_domains(policy.dns, system);
  NameRules rules(search);
  for (const Rule& rule : policy.allow) {
    const PortMask ports = image.mask_of(rule.endpoint.ports);
    rules.add(rule, {.allow = ports, .allow_private = rule.endpoint.permits_private ? ports : 0, .deny = 0});
    rules.add_search_forms(rule);
  }
  for (const std::vector<Rule>* denies : {&policy.deny, &host.deny}) {
    for (const Rule& rule : *denies) {
      rules.add(rule, {.allow = 0, .allow_private = 0, .deny = deny_mask(image, rule.endpoint.ports)});
    }
  }
  for (const Rule& rule : host.private_names) rules.add(rule, {.allow = 0, .allow_private = kAllPorts, .deny = 0});
  if (Result<void> done = rules.fold().fold_into(image); !done) return done;
  return settle_learning(policy, rules.fold().describe_crowd(image), image);
}

// The exact names of `allow` that the agent looks up: those that the whole of the policy lets teach.
void collect_agent_names(const Policy& policy, PolicyImage& image) {
  for (const Rule& rule : policy.allow) {
    const auto* pattern = std::get_if<NamePattern>(&rule.endpoint.host);
    if (pattern == nullptr || !pattern->is_exact()) continue;
    if (!rule.endpoint.resolved_by_agent && policy.dns.resolve != Resolve::kAgent) continue;
    DomainName name = DomainName::from_normal(pattern->text());
    if (decide_name(image, name).teaches()) image.agent_names.push_back(std::move(name));
  }
  std::sort(image.agent_names.begin(), image.agent_names.end());
  image.agent_names.erase(std::unique(image.agent_names.begin(), image.agent_names.end()), image.agent_names.end());
}

std::vector<Prefix> prefixes_of(const Host& host) {
  if (std::holds_alternative<AnyHost>(host)) return {kEveryIpv4, kEveryIpv6};
  if (const auto* prefix = std::get_if<Prefix>(&host)) return {*prefix};
  return {};
}

void fold_addresses(const Policy& policy, const HostPolicy& host, PolicyImage& image) {
  std::map<Prefix, AddressNode> nodes;
  const auto add = [&](const std::vector<Rule>& rules, PortMask AddressNode::*field) {
    for (const Rule& rule : rules) {
      for (const Prefix& prefix : prefixes_of(rule.endpoint.host)) {
        nodes[prefix].*field |= image.mask_of(rule.endpoint.ports);
      }
    }
  };
  add(policy.allow, &AddressNode::allow);
  add(policy.deny, &AddressNode::deny);
  add(host.deny, &AddressNode::host_deny);

  const bool may_cover_loopback = std::any_of(nodes.begin(), nodes.end(), [](const auto& entry) {
    return std::any_of(kLoopback.begin(), kLoopback.end(),
                       [&](const Prefix& loopback) { return entry.first.contains(loopback); });
  });
  if (may_cover_loopback) {
    for (const Prefix& loopback : kLoopback) nodes.try_emplace(loopback);
  }

  for (const auto& [prefix, own] : nodes) {
    AddressNode folded{prefix, own.allow, own.deny, own.host_deny};
    for (unsigned length = 0; length < prefix.length(); ++length) {
      const auto shorter = nodes.find(Prefix(prefix.base(), static_cast<std::uint8_t>(length), prefix.is_v4()));
      if (shorter == nodes.end()) continue;
      if (is_loopback(prefix) == is_loopback(shorter->first)) folded.allow |= shorter->second.allow;
      folded.deny |= shorter->second.deny;
      folded.host_deny |= shorter->second.host_deny;
    }
    image.addresses.push_back(folded);
  }
}

Result<void> collect_resolvers(const Policy& policy, const ResolvConf& system, PolicyImage& image) {
  std::vector<ResolverAddress> wanted;
  if (policy.dns.resolvers_from_system) wanted = system.nameservers;
  wanted.insert(wanted.end(), policy.dns.resolvers.begin(), policy.dns.resolvers.end());
  for (const ResolverAddress& resolver : wanted) {
    if (std::find(image.resolvers.begin(), image.resolvers.end(), resolver) != image.resolvers.end()) continue;
    if (image.resolvers.size() == kMaxResolvers) {
      return fail(ErrorKind::kLimit, policy.origin.to_string() + ": more than " + std::to_string(kMaxResolvers) +
                                         " resolvers, those of the system included");
    }
    image.resolvers.push_back(resolver);
    const auto& nameservers = system.nameservers;
    const bool is_system = std::find(nameservers.begin(), nameservers.end(), resolver) != nameservers.end();
    if (policy.dns.resolvers_from_system && is_system) ++image.system_resolvers;
  }
  return {};
}

// The longest match: the exact node, else the nearest below node. With which of its masks.
struct NameMatch {
  const NameNode* node = nullptr;
  std::size_t depth = 0;
};

NameMatch find_longest_match(const PolicyImage& image, const std::string& name) {
  if (const NameNode* exact = find_name_node(image, name, false)) return {exact, 0};
  const std::string_view text = name;
  std::size_t more_labels = 1;
  for (std::size_t dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.', dot + 1), ++more_labels) {
    if (const NameNode* below = find_name_node(image, text.substr(dot + 1), true))
      return {below, more_labels == 1 ? 0u : 1u};
  }
  return {find_name_node(image, "", true), more_labels == 1 ? 0u : 1u};
}

}  // namespace

NameMasks& NameMasks::operator|=(const NameMasks& other) {
  allow |= other.allow;
  allow_private |= other.allow_private;
  deny |= other.deny;
  return *this;
}

PortMask PolicyImage::mask_of(Protocol protocol, Port port) const { return class_of(ports, port_key(protocol, port)); }

PortMask PolicyImage::mask_of(const PortSet& set) const { return classes_of(ports, set); }

PortSet PolicyImage::ports_of(PortMask mask) const { return namewall::ports_of(ports, mask); }

Result<PolicyImage> compile_policy(const Policy& policy, const HostPolicy& host, const ResolvConf& system) {
  PolicyImage image;
  image.name = policy.name;
  image.backend = policy.backend.value_or(host.backend);
  image.mode = policy.mode;
  image.loopback = policy.loopback;
  image.min_ttl = policy.dns.min_ttl;
  image.max_ttl = policy.dns.max_ttl;
  image.grace = policy.dns.grace;
  image.retain = policy.dns.retain;
  image.max_addresses = policy.dns.max_addresses;
  image.refuse_with = policy.dns.refuse_with;
  image.hints = policy.dns.hints;
  image.ech = policy.dns.ech;
  image.cache = policy.dns.cache;
  image.bounds = policy.dns.bounds;
  if (Result<void> done = classify_ports(policy, host, image); !done) return tl::unexpected(done.error());
  if (Result<void> done = fold_names(policy, host, system, image); !done) return tl::unexpected(done.error());
  collect_agent_names(policy, image);
  fold_addresses(policy, host, image);
  if (Result<void> done = collect_resolvers(policy, system, image); !done) return tl::unexpected(done.error());
  return image;
}

bool is_loopback_destination(const Address& address) { return is_loopback(Prefix::of(address)); }

NameDecision decide_name(const PolicyImage& image, const DomainName& name) {
  const NameMatch match = find_longest_match(image, name.text());
  if (match.node == nullptr) return {};
  NameMasks masks = match.node->masks[match.depth];
  for (const std::uint16_t index : match.node->globs) {
    const Glob& glob = image.globs[index];
    if (glob.pattern.matches(name)) masks |= glob.masks;
  }
  const PortMask allow = masks.allow & ~masks.deny;
  if (allow == 0) return {};
  return {allow | kAskBit, masks.allow_private & allow & kAllPorts};
}

AddressDecision decide_prefix(const PolicyImage& image, const Prefix& prefix) {
  for (int length = prefix.length(); length >= 0; --length) {
    const Prefix covering(prefix.base(), static_cast<std::uint8_t>(length), prefix.is_v4());
    const auto at =
        std::lower_bound(image.addresses.begin(), image.addresses.end(), covering,
                         [](const AddressNode& node, const Prefix& wanted) { return node.prefix < wanted; });
    if (at != image.addresses.end() && at->prefix == covering) return {at->allow, at->deny, at->host_deny};
  }
  return {};
}

AddressDecision decide_address(const PolicyImage& image, const Address& address) {
  return decide_prefix(image, Prefix::of(address));
}

}  // namespace namewall
