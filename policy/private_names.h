// Names that the public DNS does not have: what answers them are private addresses.
#pragma once

#include <vector>

#include "policy/address.h"
#include "policy/name_pattern.h"

namespace namewall {

// Below .internal, .local, .lan, .home, .corp, .intranet, .private, .localdomain, home.arpa (RFC 6762 appendix G, RFC
// 8375, ICANN's .internal) and the reverse zones of RFC 1918; and every exact name of one label.
bool has_only_private_answers(const NamePattern& pattern);

// What `?private` opens: RFC 1918, 100.64/10 and ULA (special_use.h).
const std::vector<Prefix>& private_networks();

}  // namespace namewall
