// The egress of ClusterNetworkPolicy, AdminNetworkPolicy and NetworkPolicy as native rules. Pure.
#pragma once

#include "agent/import_command.h"

namespace namewall::agent {

struct KubernetesOptions {
  std::string name;              // only the policy of this metadata.name; "": all of the file
  bool permits_private = false;  // names may have private answers
};

ImportedPolicy import_kubernetes(const ImportInput& input, const KubernetesOptions& options);

}  // namespace namewall::agent
