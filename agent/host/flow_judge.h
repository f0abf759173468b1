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
  std::uint32_t interface = 0;  // as sock_diag has them:
  std::uint64_t socket_cookie = 0;
  std::string to_string() const;  // "tcp 10.0.0.5:4711 -> 203.0.113.9:443"
};

enum class FlowVerdict {
  kKeep,
  kDestroy,
  kUnattributed,  // no rule and no remembered name has its address; kept unless cut_unattributed
};

struct JudgedFlow {
  FlowVerdict verdict = FlowVerdict::kKeep;
  Reason reason = NW_REASON_NONE;  // of kDestroy
};

// One verdict for each flow, in order: host deny and deny rules end it; a trusted resolver, loopback as the policy
// says, a listed port of its own, an address rule, and a name remembered for the address (`grants`, expired ones too)
// that still has the port keep it; names that have it no more end it. Raw sockets always end: an armed workload gets
// none. Flows must be of one network namespace: with loopback "own" both ends must be among them. Audit mode ends
// nothing.
std::vector<JudgedFlow> judge_flows(const PolicyImage& image, const std::vector<bpf::GrantRecord>& grants,
                                    const std::vector<Flow>& flows, bool cut_unattributed);

}  // namespace namewall::agent
