#include "agent/ordered_rules.h"

#include <algorithm>
#include <span>

#include "policy/prefix_difference.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxPieces = 4096;  // of one denial

// A part of what a rule denies.
struct Piece {
  Prefix network;
  PortSet ports;
};

const Prefix* network_of(const OrderedRule::Peer& peer) { return std::get_if<Prefix>(&peer.host); }

// The pieces without what `peer` accepts at `ports`.
std::vector<Piece> without(const std::vector<Piece>& pieces, const Prefix& network, const PortSet& ports) {
  std::vector<Piece> left;
  for (const Piece& piece : pieces) {
    const PortSet both = piece.ports.intersected(ports);
    if (both.empty() || !overlap(piece.network, network)) {
      left.push_back(piece);
      continue;
    }
    if (const PortSet other = piece.ports.minus(ports); !other.empty()) left.push_back({piece.network, other});
    for (const Prefix& rest : subtract_prefixes(piece.network, std::span(&network, 1))) left.push_back({rest, both});
  }
  return left;
}

// Whether one of `rules` accepts something of the piece. Any address may be that of a name.
bool is_opened(const Piece& piece, std::span<const OrderedRule> rules) {
  return std::any_of(rules.begin(), rules.end(), [&](const OrderedRule& rule) {
    if (!rule.accepts || rule.ports.intersected(piece.ports).empty()) return false;
    return std::any_of(rule.peers.begin(), rule.peers.end(), [&](const OrderedRule::Peer& peer) {
      const Prefix* network = network_of(peer);
      return network == nullptr || overlap(*network, piece.network);
    });
  });
}

bool has_names_at(std::span<const OrderedRule> rules, const PortSet& ports) {
  return std::any_of(rules.begin(), rules.end(), [&](const OrderedRule& rule) {
    return rule.accepts && !rule.ports.intersected(ports).empty() &&
           std::any_of(rule.peers.begin(), rule.peers.end(),
                       [](const OrderedRule::Peer& peer) { return network_of(peer) == nullptr; });
  });
}

// What `peer` of a denial still denies behind `earlier` rules; nullopt: too many pieces.
std::optional<std::vector<Piece>> pieces_of(const Prefix& network, const PortSet& ports,
                                            std::span<const OrderedRule> earlier) {
  std::vector<Piece> pieces = {{network, ports}};
  for (const OrderedRule& rule : earlier) {
    if (!rule.accepts) continue;
    for (const OrderedRule::Peer& peer : rule.peers) {
      if (const Prefix* accepted = network_of(peer)) pieces = without(pieces, *accepted, rule.ports);
      if (pieces.size() > kMaxPieces) return std::nullopt;
    }
  }
  return pieces;
}

void import_denial(ImportDocument& document, std::span<const OrderedRule> rules, std::size_t index) {
  const OrderedRule& rule = rules[index];
  const auto earlier = rules.first(index);
  const auto later = rules.subspan(index + 1);
  for (const OrderedRule::Peer& peer : rule.peers) {
    const Prefix* network = network_of(peer);
    if (network == nullptr) {
      document.refuse(peer.from, "names are for rules that accept");
      continue;
    }
    const auto pieces = pieces_of(*network, rule.ports, earlier);
    if (!pieces) {
      document.refuse(peer.from, "earlier rules cut this denial into more than 4096 networks");
      continue;
    }
    for (const Piece& piece : *pieces) {
      if (!is_opened(piece, later)) continue;  // refused anyway
      if (has_names_at(earlier, piece.ports)) {
        document.refuse(peer.from,
                        "an earlier rule accepts names at these ports, and would win where such a name has an address "
                        "of this network; here a denial of addresses always wins");
        break;
      }
      document.add_rule(EndpointUse::kDeny, peer.from, piece.network, piece.ports);
    }
  }
}

}  // namespace

void import_ordered_rules(ImportDocument& document, const std::vector<OrderedRule>& rules, bool permits_private) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (!rules[i].accepts) {
      import_denial(document, rules, i);
      continue;
    }
    for (const OrderedRule::Peer& peer : rules[i].peers) {
      document.add_rule(EndpointUse::kAllow, peer.from, peer.host, rules[i].ports,
                        permits_private && network_of(peer) == nullptr);
    }
  }
}

bool ends_in_denial(const std::vector<OrderedRule>& rules) {
  const auto denies_all = [&](bool is_v4) {
    return std::any_of(rules.begin(), rules.end(), [&](const OrderedRule& rule) {
      return !rule.accepts && rule.ports == PortSet::all() &&
             std::any_of(rule.peers.begin(), rule.peers.end(), [&](const OrderedRule::Peer& peer) {
               const Prefix* network = network_of(peer);
               return network != nullptr && network->length() == 0 && network->is_v4() == is_v4;
             });
    });
  };
  return denies_all(true) && denies_all(false);
}

}  // namespace namewall::agent
