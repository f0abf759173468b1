#include "agent/kubernetes_rules.h"

#include <algorithm>

#include "agent/import_names.h"
#include "agent/kubernetes_ports.h"
#include "policy/config_reader.h"
#include "policy/prefix_difference.h"

namespace namewall::agent {
namespace {

constexpr const char* kNoCluster = "a host knows no pods, namespaces and nodes: write their addresses or names";
constexpr const char* kDnsServer = "the DNS server is that of [dns] resolvers, by default the host's";

using Peer = OrderedRule::Peer;

// The peers of one rule.
struct Peers {
  std::vector<Peer> peers;
  std::vector<ImportNode> in_cluster;  // pods, namespaces
  bool is_broken = false;
};

std::vector<Prefix> read_networks(ImportDocument& document, const ImportNode& list, bool& is_broken) {
  std::vector<Prefix> networks;
  for (const ImportNode& item : document.read_list(list)) {
    const auto network = document.read_cidr(item, false);
    if (network) {
      networks.push_back(*network);
    } else {
      is_broken = true;
    }
  }
  return networks;
}

void read_ip_block(ImportDocument& document, const ImportNode& block, Peers& peers) {
  std::optional<Prefix> whole;
  std::vector<Prefix> holes;
  document.read_fields(
      block, {{"cidr", [&](const ImportNode& node) { whole = document.read_cidr(node, false); }},
              {"except", [&](const ImportNode& node) { holes = read_networks(document, node, peers.is_broken); }}});
  if (!whole) {
    document.refuse(block, "it has no `cidr` that namewall can read");
    peers.is_broken = true;
    return;
  }
  for (const Prefix& left : subtract_prefixes(*whole, holes)) peers.peers.push_back({left, block});
}

Peers read_network_policy_peers(ImportDocument& document, const ImportNode& list) {
  Peers peers;
  for (const ImportNode& item : document.read_list(list)) {
    const auto in_cluster = [&](const ImportNode& node) { peers.in_cluster.push_back(node); };
    document.read_fields(item, {{"ipBlock", [&](const ImportNode& node) { read_ip_block(document, node, peers); }},
                                {"podSelector", in_cluster},
                                {"namespaceSelector", in_cluster}});
    if (item.value->entries.empty()) {
      document.refuse(item, "it selects nothing that namewall knows");
      peers.is_broken = true;
    }
  }
  return peers;
}

// Pods and namespaces at port 53 are the way to the cluster's DNS server. False: the rule is refused.
bool accept_cluster(ImportDocument& document, const Peers& peers, const PortSet& ports) {
  for (const ImportNode& node : peers.in_cluster) {
    if (is_dns_alone(ports)) {
      document.note(node, kDnsServer);
    } else {
      document.refuse(node, kNoCluster);
    }
  }
  return peers.in_cluster.empty() || is_dns_alone(ports);
}

void import_network_policy_rule(ImportDocument& document, const ImportNode& rule) {
  Peers peers;
  bool has_peers = false;
  std::optional<PortSet> ports =
      PortSet({{Protocol::kTcp, Port{0}, Port{0xffff}}, {Protocol::kUdp, Port{0}, Port{0xffff}}});
  document.read_fields(rule,
                       {{"to",
                         [&](const ImportNode& node) {
                           peers = read_network_policy_peers(document, node);
                           has_peers = !node.value->items.empty();
                         }},
                        {"ports", [&](const ImportNode& node) { ports = read_network_policy_ports(document, node); }}});
  if (!ports || peers.is_broken || !accept_cluster(document, peers, *ports)) return;
  if (!has_peers) peers.peers.push_back({AnyHost{}, rule});
  for (const Peer& peer : peers.peers) document.add_rule(EndpointUse::kAllow, peer.from, peer.host, *ports);
}

void read_ordered_peer(ImportDocument& document, const ImportNode& item, Peers& peers) {
  const auto in_cluster = [&](const ImportNode& node) { peers.in_cluster.push_back(node); };
  const auto read_names = [&](const ImportNode& list) {
    for (const ImportNode& node : document.read_list(list)) {
      const auto text = document.read_text(node);
      Result<NamePattern> pattern = native_of_npep133(text.value_or(""));
      if (text && pattern) {
        peers.peers.push_back({*std::move(pattern), node});
        continue;
      }
      if (text) document.refuse(node, pattern.error().what);
      peers.is_broken = true;
    }
  };
  const auto read_all_networks = [&](const ImportNode& list) {
    for (const ImportNode& node : document.read_list(list)) {
      const auto network = document.read_cidr(node, false);
      if (network) peers.peers.push_back({*network, node});
      if (!network) peers.is_broken = true;
    }
  };
  document.read_fields(item, {{"domainNames", read_names},
                              {"networks", read_all_networks},
                              {"namespaces", in_cluster},
                              {"pods", in_cluster},
                              {"nodes", in_cluster}});
  if (item.value->entries.size() != 1) {
    document.refuse(item, "a peer has exactly one field");
    peers.is_broken = true;
  }
}

std::optional<bool> read_action(ImportDocument& document, const ImportNode& rule,
                                const std::optional<ImportNode>& node) {
  const std::string action = node ? document.read_text(*node).value_or("") : "";
  if (action == "Accept" || action == "Allow") return true;
  if (action == "Deny") return false;
  document.refuse(node ? *node : rule, action == "Pass" ? "Pass leaves the decision to policies that are not in this "
                                                          "file"
                                                        : "the action is none of Accept, Allow and Deny");
  return std::nullopt;
}

std::optional<OrderedRule> read_ordered_rule(ImportDocument& document, const ImportNode& node) {
  Peers peers;
  std::optional<ImportNode> action_node;
  std::optional<PortSet> ports = PortSet::all();
  document.read_fields(
      node, {{"name", {}},
             {"action", [&](const ImportNode& value) { action_node = value; }},
             {"to",
              [&](const ImportNode& list) {
                for (const ImportNode& item : document.read_list(list)) read_ordered_peer(document, item, peers);
              }},
             {"ports", [&](const ImportNode& list) { ports = read_admin_ports(document, list); }},
             {"protocols", [&](const ImportNode& list) { ports = read_cluster_protocols(document, list); }}});
  const auto accepts = read_action(document, node, action_node);
  if (!accepts || !ports || peers.is_broken) return std::nullopt;
  if (peers.peers.empty() && peers.in_cluster.empty()) {
    document.refuse(node, "it names nothing in `to`");
    return std::nullopt;
  }
  if (!*accepts && !peers.in_cluster.empty()) {
    document.refuse(peers.in_cluster.front(), kNoCluster);
    return std::nullopt;
  }
  if (!accept_cluster(document, peers, *ports)) return std::nullopt;
  return OrderedRule{*accepts, std::move(peers.peers), *std::move(ports), node};
}

}  // namespace

void import_network_policy(ImportDocument& document, const ImportNode& spec) {
  bool has_types = false;
  bool is_of_egress = false;
  bool is_of_ingress = false;
  document.read_fields(spec, {{"podSelector", {}},
                              {"policyTypes",
                               [&](const ImportNode& list) {
                                 has_types = true;
                                 for (const ImportNode& item : document.read_list(list)) {
                                   is_of_egress |= item.value->text == "Egress";
                                   is_of_ingress |= item.value->text == "Ingress";
                                 }
                               }},
                              {"ingress", [&](const ImportNode& list) { refuse_ingress(document, list); }},
                              {"egress", [&](const ImportNode& list) {
                                 for (const ImportNode& rule : document.read_list(list))
                                   import_network_policy_rule(document, rule);
                               }}});
  const auto egress = field_of(spec, "egress");
  if (!has_types) is_of_egress = egress && !egress->value->items.empty();
  if (has_types && !is_of_ingress) note_open_ingress(document, spec);
  if (!is_of_egress) {
    document.refuse(spec,
                    "it says nothing of egress, which leaves every destination open; namewall closes what no rule "
                    "names");
  }
}

std::vector<OrderedRule> read_ordered_egress(ImportDocument& document, const ImportNode& egress) {
  std::vector<OrderedRule> rules;
  for (const ImportNode& item : document.read_list(egress)) {
    if (auto rule = read_ordered_rule(document, item)) rules.push_back(*std::move(rule));
  }
  return rules;
}

void note_open_ingress(ImportDocument& document, const ImportNode& spec) {
  document.note(spec, "it leaves connections from outside open; namewall lets in what `listen` names, so nothing");
}

void refuse_ingress(ImportDocument& document, const ImportNode& list) {
  for (const ImportNode& rule : document.read_list(list)) {
    document.refuse(rule, "who may connect from outside is not part of a policy: `listen` opens ports to everybody");
  }
}

}  // namespace namewall::agent
