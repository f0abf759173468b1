// Rules of which the first that matches decides, as in Kubernetes' ClusterNetworkPolicy, made into `allow` and `deny`,
// where a denial always wins.
#pragma once

#include <vector>

#include "agent/import_document.h"

namespace namewall::agent {

struct OrderedRule {
  struct Peer {
    Host host;  // a name pattern, or a prefix
    ImportNode from;
  };
  bool accepts = false;
  std::vector<Peer> peers;
  PortSet ports;
  ImportNode node;
};

// Adds what the rules amount to, exactly, where what none of them matches is refused. A denial is cut by the networks
// that earlier rules accept, and left out where nothing later opens what it denies. One that an earlier rule for names
// would win against is refused: no denial of addresses spares the addresses of a name.
void import_ordered_rules(ImportDocument& document, const std::vector<OrderedRule>& rules, bool permits_private);

// Whether one rule denies everything that is left, of both families.
bool ends_in_denial(const std::vector<OrderedRule>& rules);

}  // namespace namewall::agent
