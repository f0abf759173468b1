// The egress of ClusterNetworkPolicy, AdminNetworkPolicy and NetworkPolicy as native rules. Pure.
#pragma once

#include "agent/import_command.h"

namespace namewall::agent {

ImportedPolicy import_kubernetes(const ImportInput& input, const ObjectImportOptions& options);

}  // namespace namewall::agent
