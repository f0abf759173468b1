// Which addresses a DNS answer may not teach (IANA special-purpose registries, RFC 6890 and its followers).
//
// The decision, in this order; the BPF programs hold the same list.
//   IPv4, and what is embedded below:
//     kPrivate    10/8  172.16/12  192.168/16  100.64/10
//     kForbidden  0/8  127/8  169.254/16  192.0.0/24  192.88.99/24  198.18/15  224/3 (multicast, reserved, broadcast)
//     kPublic     everything else
//   IPv6:
//     1. ::ffff:0:0/96     from an A record: the IPv4 list. From an AAAA record: embedded
//     2. 64:ff9b::/96      embedded in bytes 12-15 (NAT64)
//     3. fc00::/7          kPrivate
//     4. outside 2000::/3  kForbidden. 2000::/3 is all global unicast space there is: without ::, ::1, ::/96, fe80::/10,
//                          fec0::/10, ff00::/8, 100::/64, 64:ff9b:1::/48, 5f00::/16
//     5. 2001::/32         embedded in bytes 4-7 (the Teredo server) and, inverted, in bytes 12-15 (its client)
//     6. 2001::/23         kForbidden (protocol assignments: ORCHID, benchmarking, AMT, AS112)
//     7. 2002::/16         embedded in bytes 2-5 (6to4)
//     8. kPublic
//   embedded: kForbidden where the IPv4 list says kPrivate or kForbidden of an embedded address, else kPublic.
//
// The documentation prefixes (192.0.2/24, 198.51.100/24, 203.0.113/24, 2001:db8::/32, 3fff::/20) count as public:
// nobody is there, and the embedded internet of quickstart and the tests lives in them.
#pragma once

#include <vector>

#include "policy/address.h"

namespace namewall {

enum class SpecialUse {
  kPublic,     // teaches
  kPrivate,    // RFC 1918, ULA, 100.64/10: teaches only for ?private rules
  kForbidden,  // loopback, link-local (metadata), multicast, unspecified, reserved, own addresses, and NAT64, 6to4,
               // Teredo or v4-mapped forms of anything special: needs an address rule
};

// `from_aaaa`: the address came from an AAAA record, where a v4-mapped form of a special address is kForbidden.
SpecialUse classify_address(const Address& address, bool from_aaaa);

// The IPv4 addresses that a NAT64, Teredo or 6to4 address carries (rules 2, 5, 7), v4-mapped; empty for any other.
std::vector<Address> embedded_ipv4(const Address& address);

}  // namespace namewall
