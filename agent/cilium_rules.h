// One rule of `egress` or `egressDeny` of Cilium as native rules.
#pragma once

#include "agent/import_document.h"

namespace namewall::agent {

// What the rules of a policy amount to beside endpoints.
struct CiliumDns {
  bool has_names = false;      // toFQDNs
  bool has_dns_rules = false;  // lookups are watched: without them Cilium learns no address
  bool asks_cluster = false;   // a server that only the cluster knows, or any
  std::vector<std::string> servers;
};

void import_cilium_rule(ImportDocument& document, const ImportNode& rule, EndpointUse use, bool permits_private,
                        CiliumDns& dns);

}  // namespace namewall::agent
