#include "policy/policy_image.h"

#include <algorithm>

#include "policy/address_fold.h"
#include "policy/host_rules.h"
#include "policy/learning.h"
#include "policy/name_fold.h"
#include "policy/name_node.h"

namespace namewall {
namespace {

Result<void> classify_ports(const Policy& policy, const HostPolicy& host, const std::vector<Rule>& blocks,
                            PolicyImage& image) {
  PortClasses classes;
  const auto too_fine = [](const Origin& origin, const std::string& what) {
    return fail(ErrorKind::kLimit,
                origin.to_string() + ": " + what + " asks for one distinction of ports too many: at most " +
                    std::to_string(kMaxPortClasses) + " groups of ports and " + std::to_string(kMaxPortIntervals) +
                    " ranges in one policy, `listen` and what the host denies included");
  };
  if (!classes.add(policy.listen)) return too_fine(policy.origin, "`listen`");
  for (const std::vector<Rule>* rules : {&policy.allow, &policy.deny, &host.deny, &blocks}) {
    for (const Rule& rule : *rules) {
      if (!classes.add(rule.endpoint.ports)) return too_fine(rule.origin, "`" + rule.endpoint.text + "`");
    }
  }
  for (const PortSet& ports : spared_ports(blocks, image.resolvers)) {
    if (!classes.add(ports)) return too_fine(host.origin, "the resolvers' ports, which the host's blocks spare,");
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

Result<void> fold_names(const Policy& policy, const HostPolicy& host, const std::vector<Rule>& blocks,
                        const ResolvConf& system, PolicyImage& image) {
  const std::vector<DomainName> search = search_domains(policy.dns, system);
  NameRules rules(search);
  for (const Rule& rule : policy.allow) {
    const PortMask ports = image.mask_of(rule.endpoint.ports);
    rules.add(rule, {.allow = ports, .allow_private = rule.endpoint.permits_private ? ports : 0, .deny = 0});
    rules.add_search_forms(rule);
  }
  for (const std::vector<Rule>* denies : {&policy.deny, &host.deny, &blocks}) {
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
  const std::vector<Rule> blocks = blocks_for(host, policy.name);
  image.may_listen = may_listen(host, policy.name);
  if (Result<void> done = collect_resolvers(policy, system, image); !done) return tl::unexpected(done.error());
  if (Result<void> done = classify_ports(policy, host, blocks, image); !done) return tl::unexpected(done.error());
  if (Result<void> done = fold_names(policy, host, blocks, system, image); !done) return tl::unexpected(done.error());
  collect_agent_names(policy, image);
  fold_addresses(policy, host, blocks, image);
  return image;
}

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
