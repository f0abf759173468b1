// `toPorts` of Cilium's rules.
#pragma once

#include <vector>

#include "agent/import_document.h"

namespace namewall::agent {

struct CiliumPorts {
  ImportNode node;
  PortSet ports;
  bool has_dns_rules = false;  // rules.dns: what may be asked of a DNS server there
};

// An item each; what cannot be expressed is refused, and such an item left out.
std::vector<CiliumPorts> read_cilium_ports(ImportDocument& document, const ImportNode& to_ports);

}  // namespace namewall::agent
