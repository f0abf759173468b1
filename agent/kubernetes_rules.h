// The egress of one object of Kubernetes.
#pragma once

#include <vector>

#include "agent/import_document.h"
#include "agent/ordered_rules.h"

namespace namewall::agent {

// NetworkPolicy: adds its rules, of which each one opens something.
void import_network_policy(ImportDocument& document, const ImportNode& spec);

// ClusterNetworkPolicy, AdminNetworkPolicy, BaselineAdminNetworkPolicy: the rules of `egress` in their order.
std::vector<OrderedRule> read_ordered_egress(ImportDocument& document, const ImportNode& egress);

// Says that a policy leaves connections from outside open, which namewall does not.
void note_open_ingress(ImportDocument& document, const ImportNode& spec);
// Rules of connections from outside: refused, apart from those that let nothing in.
void refuse_ingress(ImportDocument& document, const ImportNode& list);

}  // namespace namewall::agent
