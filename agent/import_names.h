// Names of other systems as native patterns that match the same names, or a sentence why there is none.
#pragma once

#include <string_view>

#include "policy/name_pattern.h"

namespace namewall::agent {

// toFQDNs and rules.dns of Cilium (cilium_pattern.h). Their `*` may stand for nothing where it is a whole label; no
// name has an empty label, so the native one matches the same names.
Result<NamePattern> native_of_cilium_name(std::string_view match_name);
Result<NamePattern> native_of_cilium_pattern(std::string_view match_pattern);

// domainNames of NPEP-133: its `*.` is one label or more, the native `**.`.
Result<NamePattern> native_of_npep133(std::string_view domain_name);

}  // namespace namewall::agent
