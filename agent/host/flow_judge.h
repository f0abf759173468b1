// Judges the connections that a workload has when its policy changes, or has from before its arming (docs: "Existing
// connections"). Pure: listing and ending sockets is socket_list.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bpf/enforcer.h"
#include "policy/address.h"
#include "policy/policy_image.h"
#include "policy/reason.h"

namespace namewall::agent {

// One socket of a workload.
struct Flow {
  enum class Kind : std::uint8_t { kTcp, kUdp, kRaw };
  Kind kind = Kind::kTcp;
  bool is_ipv6_socket = false;  // the family of the socket; v4-mapped peers are IPv4 addresses
  bool is_connected = false;    // has a peer. Listeners and unconnected sockets do not
  Address local, remote;
  Port local_port, remote_port;
  std::uint64_t cgroup_id = 0;
  std::uint32_t inode = 0;
  std::uint8_t raw_protocol = 0;    // of kRaw
  std::uint32_t interface = 0;      // index; 0: not bound to one
  std::uint64_t socket_cookie = 0;  // SO_COOKIE
  std::string to_string() const;    // "tcp 10.0.0.5:4711 -> 203.0.113.9:443"
};

enum class FlowVerdict {
  kKeep,
  kDestroy,
  kUnattributed,  // no rule and no remembered name has its address: kept; with cut_unattributed such a flow is kDestroy
};

struct JudgedFlow {
  FlowVerdict verdict = FlowVerdict::kKeep;
  Reason reason = NW_REASON_NONE;  // of kDestroy
};

// One verdict for each flow, in order; the first of these that applies:
//   without a peer       kept: there is nothing to judge, each datagram and connect of it is
//   raw                  ends: an armed workload gets none
//   inbound              TCP to a listener of the workload on another address than loopback: kept where `listen` has
//   the port,
//                        else ends
//   host deny, deny rule ends
//   trusted resolver     kept at a place of the DNS proxy. Itself: UDP is kept where the kernel reads it, else it ends
//   any other resolver   at a place of the DNS proxy: ends
//   loopback             kept with "any", and with "own" where the other end is among `flows`; else only a rule keeps
//   it address rules        kept names remembered for the address (`grants`, live or expired): kept where one of them
//   still has the port, else ends else                 unattributed
// All flows are of one network namespace, listeners included; `places` are the DNS proxy's in it. Audit mode keeps
// everything.
std::vector<JudgedFlow> judge_flows(const PolicyImage& image, const std::vector<GrantRecord>& grants,
                                    const std::vector<Flow>& flows, bool cut_unattributed,
                                    const std::vector<ProxyPlace>& places = {});

}  // namespace namewall::agent
