// Which addresses a DNS answer may not teach (IANA special-purpose registries, RFC 6890 and its followers).
#pragma once

#include <span>

#include "policy/address.h"

namespace namewall {

enum class SpecialUse {
  kPublic,   // teaches
  kPrivate,  // RFC 1918, ULA, 100.64/10: teaches only for ?private rules
  kNever,    // loopback, link-local (metadata), multicast, unspecified, reserved, own addresses, and NAT64, 6to4,
             // Teredo or v4-mapped forms of anything special: needs an address rule
};

// The documentation prefixes (192.0.2/24, 198.51.100/24, 203.0.113/24, 2001:db8::/32) count as public: nobody is
// there, and the embedded internet of quickstart and the tests lives in them.
// `from_aaaa`: the address came from an AAAA record, where a v4-mapped form of a special address is kNever.
SpecialUse classify_address(const Address& address, bool from_aaaa);

}  // namespace namewall
