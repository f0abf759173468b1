// A policy in the form that a backend loads: everything folded so that one lookup decides. Pure data: printable,
// comparable, and the model judges by it too, so that kernel and model share one compilation and are compared on the
// evaluation.
//
// Ports. The (protocol, port) space is cut into at most kMaxPortClasses classes whose members no rule tells apart; a set
// of ports is then a 40-bit mask of classes, and folding, denying and intersecting are bit operations. Class 39
// (kAskBit) is no port: it marks names that may be asked. Allowed names have it too.
//
// Names. A node per literal name that some pattern ends in: an *exact* node decides that very name, a *below* node all
// names under it, [0] for exactly one more label, [1] for deeper. Nodes hold what their ancestors say as well, so the
// longest match alone decides. Globs (inner wildcards) hang on the node of their literal suffix and on every deeper
// node: at most kMaxGlobsPerNode.
//   allowed(name) = (allow | allow of matching globs) & ~(deny | deny of matching globs)
//
// Addresses. A node per prefix that a rule names, with what the shorter prefixes say folded in.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/address.h"
#include "policy/policy.h"
#include "policy/resolv_conf.h"
#include "policy/result.h"

namespace namewall {

using PortMask = std::uint64_t;
inline constexpr unsigned kMaxPortClasses = 39;
inline constexpr PortMask kAskBit = PortMask{1} << 39;
inline constexpr PortMask kAllPorts = kAskBit - 1;
inline constexpr unsigned kMaxPortIntervals = 256;
inline constexpr unsigned kMaxGlobsPerNode = 16;
inline constexpr unsigned kMaxResolvers = 8;

// The interval that begins at `start` (protocol index << 16 | port) belongs to class `port_class`.
struct PortInterval {
  std::uint32_t start = 0;
  std::uint8_t port_class = 0;
  friend bool operator==(const PortInterval&, const PortInterval&) = default;
};

struct NameMasks {
  PortMask allow = 0;          // for public answers; with kAskBit where the name may be asked
  PortMask allow_private = 0;  // of rules with ?private (or host private_names): for private answers
  PortMask deny = 0;
  friend bool operator==(const NameMasks&, const NameMasks&) = default;
};

struct NameNode {
  std::string name;        // normal form; "" is the root (below nodes only)
  bool is_below = false;
  std::array<NameMasks, 2> masks;    // exact: only [0]
  std::vector<std::uint16_t> globs;  // indexes into PolicyImage::globs
};

struct Glob {
  NamePattern pattern;
  NameMasks masks;
};

struct AddressNode {
  Prefix prefix;
  PortMask allow = 0;
  PortMask deny = 0;
  PortMask host_deny = 0;
};

struct PolicyImage {
  std::string name;
  Mode mode = Mode::kEnforce;
  Loopback loopback = Loopback::kOwn;
  PortMask listen = 0;
  std::vector<PortInterval> ports;  // sorted by start, first start 0
  std::vector<NameNode> names;
  std::vector<Glob> globs;
  std::vector<AddressNode> addresses;
  std::vector<ResolverAddress> resolvers;
  Nanoseconds min_ttl{}, max_ttl{}, grace{};
  Retain retain = Retain::kTtl;
  std::uint32_t max_addresses = 0;

  PortMask mask_of(Protocol protocol, Port port) const;  // one bit
  PortMask mask_of(const PortSet& ports) const;
  PortSet ports_of(PortMask mask) const;                 // for people
};

// `system` is what namewall itself reads in /etc/resolv.conf, fixed when arming. Errors: kLimit with the rule that
// crosses a bound (port classes, intervals, globs per node, resolvers).
Result<PolicyImage> compile_policy(const Policy& policy, const HostPolicy& host, const ResolvConf& system);

// What the image says of a name: masks after denial. allow == 0: the question is refused.
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
AddressDecision decide_address(const PolicyImage& image, const Address& address);

}  // namespace namewall
