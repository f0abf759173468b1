// The entries of host.toml's `block_networks`.
//
// "private" is what is not globally reachable (IANA special-purpose address registries), multicast included, and what
// carries such an IPv4 address:
//   IPv4   0/8  10/8  100.64/10  127/8  169.254/16  172.16/12  192.0.0/24 without .9 and .10  192.0.2/24  192.88.99/24
//          192.168/16  198.18/15  198.51.100/24  203.0.113/24  224/3
//   IPv6   all outside of 2000::/3 but 64:ff9b::/96; 2001::/23 (Teredo among it), 2001:db8::/32, 3fff::/20; of
//          64:ff9b::/96 (NAT64) and 2002::/16 (6to4) the forms of the IPv4 networks above
// The documentation networks are among them: special_use.h leaves those out.
//
// An IPv4 network is also its forms of NAT64, 6to4, and the IPv4-compatible one (::10.0.0.0/104); a v4-mapped network
// is the IPv4 network.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/address.h"
#include "policy/result.h"

namespace namewall {

struct BlockedNetwork {
  std::vector<Prefix> prefixes;  // none twice
  std::string note;              // a warning about how it is written, ""
};

// "private", or ADDRESS/LENGTH; bits behind the length are cut off, with a note. An address alone is an error.
Result<BlockedNetwork> parse_blocked_network(std::string_view text);

}  // namespace namewall
