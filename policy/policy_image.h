// A policy in the form that a backend loads: everything folded so that one lookup decides. Pure data: printable,
// comparable, and the model judges by it too, so that kernel and model share one compilation and are compared on the
// evaluation.
//
// Ports. The (protocol, port) space is cut into classes whose members no rule tells apart (port_classes.h); a set of
// ports is then a mask of classes, and folding, denying and intersecting are bit operations. Bit 39 (kAskBit) is no
// port: in `allow` it is what search-list forms have, in `deny` what a deny of every port and protocol has.
//
// Names. A node per literal name that some pattern ends in: an *exact* node decides that very name, a *below* node all
// names under it, [0] for exactly one more label, [1] for deeper. Nodes hold what their ancestors say as well, so the
// longest match alone decides (name_fold.h); no match: nothing is allowed. Globs (inner wildcards) hang on the below
// node of their literal suffix and on every deeper below node under which they can match; the kernel holds at most
// kMaxGlobsPerNode of a node (learning.h). Exact nodes have none, theirs are folded in. With M the node's masks joined
// (|) with those of its matching globs:
//   allow(name)         = M.allow & ~M.deny
//   allow_private(name) = M.allow_private & allow(name)
//   may be asked        = allow(name) != 0   (a port is left, or the name is a search-list form; decide_name then sets
//                                             kAskBit in `allow`)
//
// What the rules become:
//   allow E             allow = ports(E); with ?private also allow_private = ports(E)
//   allow E, search S   allow = kAskBit for E's pattern with .S behind it, where that has at most kMaxNameLength
//                       characters; none for addresses and the any-host rule
//   deny E, host deny E deny = ports(E), and kAskBit where ports(E) is every TCP and UDP port and ICMP
//   host private_names  allow_private = kAllPorts
// The any-host rule is the root's below node, and 0.0.0.0/0 and ::/0.
//
// Addresses. A node per prefix that a rule names, with what the shorter prefixes of its family say folded in. What they
// allow does not reach into loopback (127.0.0.0/8, 0.0.0.0, ::1, ::): a rule shorter than those does not mean the
// host's own services. Where such a rule exists, the loopback prefixes are nodes, too.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/address.h"
#include "policy/policy.h"
#include "policy/port_classes.h"
#include "policy/resolv_conf.h"
#include "policy/result.h"

namespace namewall {

inline constexpr unsigned kMaxGlobsPerNode = 16;
inline constexpr unsigned kMaxResolvers = 8;

struct NameMasks {
  PortMask allow = 0;          // for public answers; kAskBit for names that may only be asked
  PortMask allow_private = 0;  // for private answers, as far as `allow` has the ports too
  PortMask deny = 0;
  NameMasks& operator|=(const NameMasks& other);
  friend bool operator==(const NameMasks&, const NameMasks&) = default;
};

struct NameNode {
  std::string name;  // normal form; "" is the root (below nodes only)
  bool is_below = false;
  std::array<NameMasks, 2> masks;    // exact: only [0]
  std::vector<std::uint16_t> globs;  // indexes into PolicyImage::globs, ascending
  friend bool operator==(const NameNode&, const NameNode&) = default;
};

struct Glob {
  NamePattern pattern;
  NameMasks masks;
  friend bool operator==(const Glob&, const Glob&) = default;
};

struct AddressNode {
  Prefix prefix;
  PortMask allow = 0;
  PortMask deny = 0;
  PortMask host_deny = 0;
  friend bool operator==(const AddressNode&, const AddressNode&) = default;
};

struct PolicyImage {
  std::string name;
  Backend backend = Backend::kBpf;
  Mode mode = Mode::kEnforce;
  Loopback loopback = Loopback::kOwn;
  PortMask listen = 0;
  bool may_listen = true;           // false: the host lets it accept nothing, from itself neither
  std::vector<PortInterval> ports;  // sorted by start, first start 0
  std::vector<NameNode> names;      // sorted by name, exact before below
  std::vector<Glob> globs;
  std::vector<AddressNode> addresses;      // sorted by prefix
  std::vector<ResolverAddress> resolvers;  // "system" first, none twice
  Nanoseconds min_ttl{}, max_ttl{}, grace{};
  Retain retain = Retain::kTtl;
  std::uint32_t max_addresses = 0;
  // ---- the proxy ----
  Learn learn = Learn::kKernel;
  bool learn_is_written = false;       // the policy says which
  std::string learn_why;               // a clause: why it is kProxy where the policy did not say so; else ""
  std::uint32_t system_resolvers = 0;  // so many of `resolvers`, the first ones, came from "system": they are asked
                                       // from the agent's network namespace, the others from the workload's
  RefuseWith refuse_with = RefuseWith::kNxdomain;
  Hints hints = Hints::kTeach;
  Ech ech = Ech::kKeep;
  bool cache = true;
  DnsBounds bounds;
  std::vector<DomainName> agent_names;  // resolve = "agent"; sorted

  PortMask mask_of(Protocol protocol, Port port) const;  // one bit
  PortMask mask_of(const PortSet& ports) const;          // exact for the sets of the policy's rules
  PortSet ports_of(PortMask mask) const;                 // for people
  friend bool operator==(const PolicyImage&, const PolicyImage&) = default;
};

// `system` is what namewall itself reads in /etc/resolv.conf, fixed when arming. Errors: kLimit with the rule that
// crosses a bound (port classes, intervals, globs, resolvers). kInvalid: `learn = "kernel"` is written beside what only
// the proxy can do.
Result<PolicyImage> compile_policy(const Policy& policy, const HostPolicy& host, const ResolvConf& system);

// What the image says of a name: masks after denial. allow == 0: the question is refused. Else `allow` has kAskBit.
struct NameDecision {
  PortMask allow = 0;
  PortMask allow_private = 0;
  bool may_ask() const { return (allow & kAskBit) != 0; }
  bool teaches() const { return ((allow | allow_private) & kAllPorts) != 0; }
  friend bool operator==(const NameDecision&, const NameDecision&) = default;
};
NameDecision decide_name(const PolicyImage& image, const DomainName& name);

struct AddressDecision {
  PortMask allow = 0, deny = 0, host_deny = 0;
};
// 127.0.0.0/8, ::1, and what connect() takes for loopback: 0.0.0.0 and ::.
bool is_loopback_destination(const Address& address);

AddressDecision decide_address(const PolicyImage& image, const Address& address);
// What is said of those addresses of a prefix that no longer node covers.
AddressDecision decide_prefix(const PolicyImage& image, const Prefix& prefix);

}  // namespace namewall
