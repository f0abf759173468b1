// The sets of `table inet namewall`: their names, keys and flags. One table in each network namespace that has
// workloads; the sets are shared by all workloads of it, and every key begins with the workload's cgroup id, so that
// the cost of a packet and of a change does not grow with the number of workloads. What the chains do with them:
// ruleset.h.
//
// clang-format off
//   set                key                                        holds
//   enforced           cgroup                                     the workloads; comment: which policy (WorkloadTag)
//   audited            cgroup                                     those in audit mode
//   parents            cgroup                                     templates and guarded cgroups: children that are not
//                                                                 in `enforced` are refused everything
//   tokens             cgroup : mark                              whose a packet to the proxy or to NFLOG is (bits 16-31)
//   learned4/6         cgroup . address . protocol . port         grants; timeout = deadline; comment: name and rule
//   wide1_4 .. wide4_6 cgroup . address . protocol                grants of names whose rule has too many ports to list
//   wide_ports1 .. 4   cgroup . protocol . port   (intervals)     those ports
//   fixed4/6           cgroup . address . protocol . port         address rules, denies already subtracted (intervals)
//   closed4/6          cgroup . address . protocol . port         what is denied on loopback (intervals), of workloads in
//                                                                 loopback_any or loopback_own
//   listen             cgroup . protocol . port   (intervals)
//   loopback_any, loopback_own   cgroup
//   own_pairs          mark . cgroup                              whose loopback packets a workload takes
//   resolvers4/6       cgroup . address . protocol . port         trusted resolvers: their port goes to the proxy
//   places4/6          address . protocol . port : port           the proxy's places of this namespace, by resolver
//   flows4/6           cgroup . address . protocol . port         made by the kernel: learned endpoints that TCP was
//                                                                 begun with; port 0: by a wide port set
//   asked4/6           cgroup . address . protocol . port         made by the kernel: learned endpoints that UDP was
//                                                                 sent to; port 0: by a wide port set
//   served4/6          cgroup . address . protocol . port         made by the kernel: whose requests to a port in
//                                                                 `listen` may be answered. TCP: the client's address
//                                                                 and the own port. UDP: the client's address and port
//   refused            cgroup, counter                            made by the kernel: refused packets
//   reported           cgroup, limit                              made by the kernel: the rate of NFLOG messages
// clang-format on
//
// ICMP echo has no port: its "port" is its first two bytes, type and code (kEchoRequest4, kEchoRequest6).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace namewall::nft {

inline constexpr std::string_view kTableName = "namewall";
inline constexpr unsigned kWideSets = 4;         // different wide port sets of one policy
inline constexpr unsigned kMaxListedPorts = 16;  // of one protocol: more are a wide port set
inline constexpr std::uint16_t kEchoRequest4 = 0x0800, kEchoRequest6 = 0x8000;
inline constexpr std::uint16_t kLogGroup = 7780;
inline constexpr unsigned kTokenShift = 16;
// Bits 0 to 15 of the mark of a loopback packet that only a socket of the same workload may take (loopback = "own").
// None of those that kube-proxy uses.
inline constexpr std::uint16_t kOwnMark = 0x0e77;

enum class SetId : std::uint8_t {
  kEnforced,
  kAudited,
  kParents,
  kTokens,
  kLearned4,
  kLearned6,
  kWide1_4,
  kWide2_4,
  kWide3_4,
  kWide4_4,
  kWide1_6,
  kWide2_6,
  kWide3_6,
  kWide4_6,
  kWidePorts1,
  kWidePorts2,
  kWidePorts3,
  kWidePorts4,
  kFixed4,
  kFixed6,
  kClosed4,
  kClosed6,
  kListen,
  kLoopbackAny,
  kLoopbackOwn,
  kOwnPairs,
  kResolvers4,
  kResolvers6,
  kPlaces4,
  kPlaces6,
  kFlows4,
  kFlows6,
  kAsked4,
  kAsked6,
  kServed4,
  kServed6,
  kRefused,
  kReported,
  kCount
};

// Each part of a key takes a whole number of 32-bit registers; cgroup ids and marks are in the host's byte order,
// the others in the network's.
enum class KeyPart : std::uint8_t { kCgroup, kAddress4, kAddress6, kProtocol, kPort, kMark };
std::size_t size_of(KeyPart part);    // in a key, padding included
std::size_t length_of(KeyPart part);  // without: of a map's data

// What an element of a set has beside its key. The set brings it along: a rule's dynset expression need not repeat it.
enum class Stateful : std::uint8_t { kNone, kCounter, kLimit };
inline constexpr std::uint32_t kReportRate = 50, kReportBurst = 100;  // of kLimit: packets a second

struct SetShape {
  SetId id;
  std::string_view name;
  std::span<const KeyPart> key;
  bool has_intervals = false;
  bool has_timeouts = false;
  bool is_dynamic = false;             // the kernel's rules add to it
  std::span<const KeyPart> data = {};  // of a map: one part
  Stateful stateful = Stateful::kNone;
  // 0: no bound. Expired elements count until they are collected, so only dynamic sets have one: of a dynamic set
  // without a size the kernel makes one of 65535 (net/netfilter/nft_dynset.c). What does not fit is not entered.
  std::uint32_t size = 0;
  std::uint32_t gc_interval_ms = 0;  // of sets with timeouts; the kernel's default of 1 s costs 7 % of a core at 1M
};

std::size_t key_size(const SetShape& shape);
const SetShape& shape_of(SetId id);
std::optional<SetId> find_set(std::string_view name);
std::span<const SetShape> all_sets();  // in the order in which they are made

}  // namespace namewall::nft
