// The ports of Kubernetes' rules, in the forms that its kinds of policy have.
#pragma once

#include <optional>

#include "agent/import_document.h"

namespace namewall::agent {

// Each gives nothing where it refused something.

// NetworkPolicy: [{protocol, port, endPort}]. Empty: every port of TCP and UDP.
std::optional<PortSet> read_network_policy_ports(ImportDocument& document, const ImportNode& list);
// AdminNetworkPolicy: [{portNumber: {protocol, port}} | {portRange: {protocol, start, end}}].
std::optional<PortSet> read_admin_ports(ImportDocument& document, const ImportNode& list);
// ClusterNetworkPolicy: [{tcp: {destinationPort: {number} | {range: {start, end}}}} | {udp: ...}].
std::optional<PortSet> read_cluster_protocols(ImportDocument& document, const ImportNode& list);

}  // namespace namewall::agent
