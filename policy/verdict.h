// The verdict on (protocol, address, port, now): the one definition that every backend obeys. `explain` prints exactly
// this walk; the first step that decides ends it.
//
//   host deny      a host rule denies the address on this port: refused, HOST_DENY
//   deny rules     a rule of the policy does: refused, DENY_RULE
//   resolver       the address and port of a trusted resolver: allowed, its questions are checked: over UDP by the
//                  kernel or, with learn = proxy, by the proxy; over TCP by the proxy. Where the proxy has to and is not
//                  there: refused, NO_PROXY_IN_NETNS
//   loopback       only for 127.0.0.0/8, ::1 and, because connect() takes them for loopback, 0.0.0.0 and ::. Allowed
//   with
//                  `any`; with `own` where a socket of this workload listens
//   address rules  an allow rule names the address on this port: allowed. Loopback is named by rules inside of it
//   alone:
//                  neither `*` nor 0.0.0.0/0 opens it
//   loopback again refused, LOOPBACK: names never open it
//   grants         a live grant of the address has the port: allowed. Else refused, with the first of these that one of
//                  the address's entries gives:
//                    1. PORT             live, with other ports
//                    2. EXPIRED          expired, with this port
//                    3. NOT_ALLOWED_NOW  live, without any port: no rule has its name (any more)
//                    4. PRIVATE_ANSWER   a note
//                    5. SPECIAL_ANSWER   a note
//                    6. EXPIRED          expired, with other ports
//                    7. NOT_ALLOWED_NOW  expired, without any port
//                  and where it has none, PORT for an address that rules allow on other ports, UNTRUSTED_RESOLVER for
//                  TCP and UDP port 53, else NOT_LOOKED_UP.
// Audit mode changes none of this, but a refusal is then allowed and keeps its reason.
#pragma once

#include <string>
#include <vector>

#include "policy/dns_verdict.h"
#include "policy/grant_table.h"
#include "policy/policy_image.h"
#include "policy/reason.h"

namespace namewall {

struct Destination {
  Protocol protocol = Protocol::kTcp;
  Address address;
  Port port;
  std::string to_string() const;  // "tcp 192.0.2.1:443", "udp [2001:db8::1]:53", "icmp 192.0.2.1"
};

struct VerdictStep {
  std::string stage;   // "host deny", "deny rules", "resolver", "loopback", "address rules", "grants"
  std::string detail;  // what was compared with what
  bool decided = false;
};

struct Verdict {
  bool allowed = false;
  Reason reason = NW_REASON_NONE;  // of a refusal; also of what passes in audit mode alone
  std::vector<VerdictStep> walk;   // up to and with the deciding step
  std::vector<DomainName> names;   // whose grants cover the address, live first
};

// The facts about a loopback destination that only the kernel knows: whose socket is there.
enum class LoopbackListener { kNone, kOwn, kForeign };

// Whether the DNS proxy serves the resolver in the socket's network namespace: likewise.
enum class ResolverProxy { kServes, kAbsent };

Verdict judge(const PolicyImage& image, const GrantTable& grants, const Destination& destination, BootTime now,
              LoopbackListener listener = LoopbackListener::kNone, ResolverProxy proxy = ResolverProxy::kServes);

}  // namespace namewall
