#include "agent/cilium_rules.h"

#include <algorithm>

#include "agent/cilium_ports.h"
#include "agent/import_names.h"
#include "policy/config_reader.h"
#include "policy/prefix_difference.h"

namespace namewall::agent {
namespace {

constexpr const char* kNoCluster = "a host knows no pods, services and nodes: write their addresses or names";

class RuleImport {
 public:
  RuleImport(ImportDocument& document, EndpointUse use, bool permits_private, CiliumDns& dns)
      : document_(document), use_(use), permits_private_(permits_private), dns_(dns) {}

  void import(const ImportNode& rule) {
    const auto cannot = [this](const char* sentence) {
      return [this, sentence](const ImportNode& node) { refuse(node, sentence); };
    };
    std::optional<ImportNode> to_ports;
    document_.read_fields(
        rule, {{"toFQDNs", [&](const ImportNode& node) { read_peers(node, &RuleImport::read_name); }},
               {"toCIDR", [&](const ImportNode& node) { read_peers(node, &RuleImport::read_network); }},
               {"toCIDRSet", [&](const ImportNode& node) { read_peers(node, &RuleImport::read_network_set); }},
               {"toEntities", [&](const ImportNode& node) { read_peers(node, &RuleImport::read_entity); }},
               {"toEndpoints", [&](const ImportNode& node) { read_cluster(node); }},
               {"toServices", [&](const ImportNode& node) { read_cluster(node); }},
               {"toGroups", cannot("a host does not ask a cloud for its security groups: write their networks")},
               {"toNodes", cannot(kNoCluster)},
               {"toRequires", cannot(kNoCluster)},
               {"icmps", cannot("of ICMP namewall knows echo alone: write `icmp://HOST` by hand")},
               {"authentication", cannot("namewall does not know who is at the other end")},
               {"toPorts", [&](const ImportNode& node) { to_ports = node; }}});
    if (kinds_ > 1) refuse(rule, "it has peers of several kinds, which Cilium itself does not accept in one rule");
    std::vector<CiliumPorts> ports = {{rule, PortSet::all(), false}};
    if (to_ports) {
      ports = read_cilium_ports(document_, *to_ports);
      if (to_ports->value->items.empty()) refuse(*to_ports, "it is an empty list; leave it out for every port");
      if (kinds_ == 0) peers_.push_back({AnyHost{}, rule});  // ports alone: of every destination
    }
    if (is_broken_) return;
    for (const CiliumPorts& item : ports) import_ports(item);
  }

 private:
  struct Peer {
    Host host;
    ImportNode from;
  };

  void refuse(const ImportNode& node, std::string sentence) {
    document_.refuse(node, std::move(sentence));
    is_broken_ = true;
  }

  void read_peers(const ImportNode& list, void (RuleImport::*read)(const ImportNode&)) {
    ++kinds_;
    const std::vector<ImportNode> items = document_.read_list(list);
    if (items.empty()) refuse(list, "an empty list is nothing in one version of Cilium, and no limit in another");
    for (const ImportNode& item : items) (this->*read)(item);
  }

  void read_cluster(const ImportNode& node) {
    ++kinds_;
    cluster_ = node;
  }

  void read_name(const ImportNode& item) {
    dns_.has_names = true;
    if (use_ == EndpointUse::kDeny) {
      return refuse(item, "Cilium has no denial by name; write the name into `deny` by hand if it is meant");
    }
    std::optional<ImportNode> name;
    std::optional<ImportNode> pattern;
    document_.read_fields(item, {{"matchName", [&](const ImportNode& node) { name = node; }},
                                 {"matchPattern", [&](const ImportNode& node) { pattern = node; }}});
    if (name.has_value() == pattern.has_value()) {
      return refuse(item, "a toFQDNs selector has exactly one of matchName and matchPattern");
    }
    const ImportNode& node = name ? *name : *pattern;
    const std::optional<std::string> text = document_.read_text(node);
    if (!text) {
      is_broken_ = true;
      return;
    }
    Result<NamePattern> native = name ? native_of_cilium_name(*text) : native_of_cilium_pattern(*text);
    if (!native) return refuse(node, native.error().what);
    peers_.push_back({*std::move(native), node});
  }

  void read_network(const ImportNode& item) {
    const std::optional<Prefix> network = document_.read_cidr(item, true);
    if (!network) {
      is_broken_ = true;
      return;
    }
    peers_.push_back({*network, item});
  }

  void read_network_set(const ImportNode& item) {
    const auto cannot = [this](const ImportNode& node) {
      refuse(node, "the group is in the cluster: write its networks");
    };
    std::optional<Prefix> whole;
    std::vector<Prefix> holes;
    document_.read_fields(item, {{"cidr", [&](const ImportNode& node) { whole = document_.read_cidr(node, false); }},
                                 {"except", [&](const ImportNode& node) { holes = read_holes(node); }},
                                 {"cidrGroupRef", cannot},
                                 {"cidrGroupSelector", cannot}});
    if (!whole) return refuse(item, "it has no `cidr` that namewall can read");
    for (const Prefix& left : subtract_prefixes(*whole, holes)) peers_.push_back({left, item});
  }

  std::vector<Prefix> read_holes(const ImportNode& list) {
    std::vector<Prefix> holes;
    for (const ImportNode& item : document_.read_list(list)) {
      if (const auto hole = document_.read_cidr(item, false)) {
        holes.push_back(*hole);
      } else {
        is_broken_ = true;
      }
    }
    return holes;
  }

  void read_entity(const ImportNode& item) {
    const std::string entity = document_.read_text(item).value_or("");
    const Address none;
    if (entity == "world") {
      peers_.push_back({AnyHost{}, item});
    } else if (entity == "world-ipv4") {
      peers_.push_back({Prefix(Address::v4({}), 0, true), item});
    } else if (entity == "world-ipv6") {
      peers_.push_back({Prefix(none, 0, false), item});
    } else {
      refuse(item, "the entity " + quoted(entity) + " is one of a cluster; of entities a host knows `world`, " +
                       "`world-ipv4` and `world-ipv6`");
    }
  }

  void import_ports(const CiliumPorts& item) {
    const bool is_dns = item.has_dns_rules || (cluster_ && is_dns_alone(item.ports));
    if (is_dns) return import_dns(item);
    if (cluster_) return refuse(*cluster_, kNoCluster);
    for (const Peer& peer : peers_) {
      const bool is_name = std::holds_alternative<NamePattern>(peer.host);
      document_.add_rule(use_, peer.from, peer.host, item.ports, is_name && permits_private_);
    }
  }

  // A way to a DNS server: in namewall not a rule, but [dns].
  void import_dns(const CiliumPorts& item) {
    if (use_ == EndpointUse::kDeny) return refuse(item.node, "namewall cannot deny a policy its own resolver");
    if (!is_dns_alone(item.ports)) return refuse(item.node, "DNS rules on another port than 53");
    if (!item.has_dns_rules) {
      document_.note(*cluster_, "the DNS server is that of [dns] resolvers, by default the host's");
      dns_.asks_cluster = true;
      return;
    }
    dns_.has_dns_rules = true;
    const auto is_server = [](const Peer& peer) {
      const auto* prefix = std::get_if<Prefix>(&peer.host);
      return prefix != nullptr && prefix->is_single();
    };
    if (!peers_.empty() && std::all_of(peers_.begin(), peers_.end(), is_server)) {
      for (const Peer& peer : peers_) dns_.servers.push_back(std::get<Prefix>(peer.host).base().to_string());
      return;
    }
    const bool is_any = peers_.size() == 1 && std::holds_alternative<AnyHost>(peers_.front().host);
    if (!cluster_ && !is_any) {
      return refuse(item.node, "DNS servers are single addresses here; a name or a network is none");
    }
    dns_.asks_cluster = true;
    document_.note(item.node,
                   "the DNS server is that of [dns] resolvers, by default the host's; it is asked for the names of "
                   "`allow`, and for no others that `rules.dns` may list");
  }

  ImportDocument& document_;
  EndpointUse use_;
  bool permits_private_;
  CiliumDns& dns_;
  std::vector<Peer> peers_;
  std::optional<ImportNode> cluster_;
  int kinds_ = 0;  // of peers
  bool is_broken_ = false;
};

}  // namespace

void import_cilium_rule(ImportDocument& document, const ImportNode& rule, EndpointUse use, bool permits_private,
                        CiliumDns& dns) {
  RuleImport(document, use, permits_private, dns).import(rule);
}

}  // namespace namewall::agent
