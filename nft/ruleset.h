// The chains of `table inet namewall`, as messages. Pure. Verdicts are judge()'s (policy/verdict.h) as far as a packet
// tells; docs/backends.md has the table of what it does not tell.
//
// output (filter, hook output, priority -150: before dstnat, so that translations beneath us keep working)
//   for each depth D in use, the deepest first:
//     socket cgroupv2 level D @enforced                            goto enter_D
//     socket cgroupv2 level D exists, level D-1 @parents           goto unknown_D   (a child nobody has armed yet)
//   accept
// enter_D: the innermost workload is at depth D. Marks packets for the proxy's places and loopback with its token, then
//   jumps to out_D and to out_E of each depth E < D that is enforced, too: every level has to return.
// out_D:
//   odd packets (IP options, extension headers, fragments, other protocols)      refuse
//   TCP that does not begin a flow: peers in flows4/6 (renewed by each packet for kFlowKept), fixed4/6, learned,
//   loopback
//     return; what was never allowed is refused: a non-SYN segment is no way out. Expiry of a grant does not touch an
//     established flow: it is in flows4/6 since its SYN passed. Nor does it touch replies of an inbound service: the
//     SYN that came in at a listed port entered its peer.
//   learned, fixed, wide: pass_D (enters TCP into flows, UDP into asked), return
//   UDP to a peer in flows (it asked a listed port in the last 30 s): return
//   resolvers4/6: return (the nat chain takes it to the proxy)
//   loopback: by loopback_any; by loopback_own (judged where it arrives)
//   audited: reported, pass_D, return
//   refuse_D: counted per workload, reported to NFLOG up to a rate per workload, TCP reset, else admin-prohibited
// input (filter, hook input, priority -150): TCP that begins a flow and UDP, for sockets of workloads
//   in_D: listen (enters the peer into flows), asked, learned and fixed by the peer's address and port, own_pairs; else
//   refused: TCP reset, UDP dropped
// dns (nat, hook output, priority -100): resolvers of the packet's workload -> redirect to the port in places
#pragma once

#include <cstdint>
#include <set>
#include <string_view>

#include "nft/batch.h"

namespace namewall::nft {

inline constexpr std::uint32_t kRulesetVersion = 1;

struct RulesetPlan {
  std::set<std::uint32_t> depths;         // at which workloads lie; 1: children of the root
  std::set<std::uint32_t> parent_depths;  // at which cgroups in `parents` lie
  bool redirects_dns = false;             // the nat chain, which switches connection tracking on
  std::uint16_t log_group = kLogGroup;
  friend bool operator==(const RulesetPlan&, const RulesetPlan&) = default;
};

// Table, sets, chains and rules.
void add_whole_table(Batch& batch, TableKind kind, const RulesetPlan& plan, std::string_view table = kTableName);
// Chains and rules of `plan` in the place of those of `before`; sets and what they hold stay. One transaction: there is
// no moment without.
void replace_rules(Batch& batch, const RulesetPlan& before, const RulesetPlan& plan,
                   std::string_view table = kTableName);

// What an NFLOG message's prefix says: "namewall out 2", "namewall in 2", "namewall unknown 2".
struct LogPrefix {
  enum class Kind { kOut, kIn, kUnknown } kind = Kind::kOut;
  std::uint32_t depth = 0;
  bool is_audit = false;
};
std::string to_prefix(const LogPrefix& prefix);
std::optional<LogPrefix> parse_prefix(std::string_view text);

}  // namespace namewall::nft
