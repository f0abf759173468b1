// The egress of CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy as native rules. Pure.
#pragma once

#include "agent/import_command.h"

namespace namewall::agent {

struct CiliumOptions {
  std::string name;              // only the policy of this metadata.name; "": all of the file
  bool permits_private = false;  // names may have private answers
};

ImportedPolicy import_cilium(const ImportInput& input, const CiliumOptions& options);

}  // namespace namewall::agent
