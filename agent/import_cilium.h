// The egress of CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy as native rules. Pure.
#pragma once

#include "agent/import_command.h"

namespace namewall::agent {

ImportedPolicy import_cilium(const ImportInput& input, const ObjectImportOptions& options);

}  // namespace namewall::agent
