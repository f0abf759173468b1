// The chains of `table inet namewall`, as messages. Pure. Verdicts are judge()'s (policy/verdict.h) as far as a packet
// tells; docs/backends.md has the table of what it does not tell. N: depth of a cgroup; F: 4 or 6, the IP version.
//
// output (filter, hook output, priority -150: before dstnat, so that translations beneath us keep working)
//   for each depth N in use, the deepest first:
//     level N in `enforced`: enter_N; level N exists and level N-1 is in `parents`: unknown_N (a child that nobody has
//     armed). What is left is no workload's and passes, for one look at its socket for each depth.
// enter_N, enter6_N: the innermost workload is at depth N. Marks packets to loopback with its token, asks outF_N, and
//   outF_E of each depth E < N that is enforced too, and accepts what all of them return. At the smallest depth there
//   is no other to ask: the rules of outF_N are here.
// outF_N: what no rule returns is refused.
//   TCP that does not begin a flow (tcpF_N): peers in flowsF are returned, and their entry is renewed, for kFlowKept;
//     on loopback where loopback is any or own (nearF_N); clients in servedF; learned
//   learned: TCP enters flowsF, UDP askedF. Where that set is full it passes all the same, as long as its grant lives
//   the rest (restF_N), the first that applies:
//     IP options, fragments, loopback addresses that leave by another device: refused
//     ICMP (pingF_N): echo to learned, fixed, loopback; neighbour discovery. Other messages that a workload's socket
//       sends are refused; errors and echo replies are the kernel's own and carry none of its sockets
//     resolvers (dnsF_N): marked with the innermost token and returned, if the nat chain takes or took them to a place
//     servedF: answers to datagrams of inbound services
//     loopback (loopF_N): closed: refused; any; fixed; own: marked, and judged where it arrives
//     fixed: enters nothing (an entry for every address of a network would be a way to fill the table for everybody)
//     wide port sets: flowsF and askedF with port 0
//     Other protocols, and what has extension headers before its protocol, are in no set.
// refuse_N: counted for each workload, reported to NFLOG up to a rate for each workload, TCP reset, else
//   admin-prohibited. In audit mode: counted, reported, returned.
//
// A non-SYN segment of a flow that was never allowed is no way out: it is in none of these sets. An established flow
// survives the expiry of its grant in flowsF, for its SYN entered it there. Replies of an inbound service pass because
// the client's SYN entered servedF; a handshake that is never used is forgotten after kHandshakeKept.
//
// input (filter, hook input, priority 150: after translations are taken back, so that the peer is the one that the
//   socket sees): TCP that begins a flow and UDP, for sockets of workloads; all else passes unread.
//   own: packets with kOwnMark pass only to a socket that own_pairs has for their sender.
//   entered_N, inF_N: `listen` (enters servedF), loopback any and own_pairs, UDP from askedF, learnedF, fixedF,
//   resolversF by the loopback device (the proxy's answers). Else refuse_in_N: TCP reset, UDP dropped.
// zone (filter, hook output, priority -300: before connection tracking): questions of workloads that have a place are
//   flows of a zone of their own, kQuestionZone, in their own direction: a port that somebody else asks from next, the
//   proxy itself towards the same resolver, is another flow.
// dns (nat, hook output, priority -100): resolvers of the packet's workload -> redirect to the port in places. A flow
//   that connection tracking knew before, untranslated, is refused by dnsF_N.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nft/batch.h"
#include "nft/listing.h"

namespace namewall::nft {

inline constexpr std::uint32_t kRulesetVersion = 1;
inline constexpr std::chrono::hours kFlowKept{5 * 24};      // since its last packet
inline constexpr std::chrono::minutes kHandshakeKept{5};    // of an inbound service, until its first data
inline constexpr std::chrono::seconds kAskedKept{60};       // who may answer a datagram
inline constexpr std::chrono::seconds kAnswerableKept{30};  // who may be sent answers
inline constexpr std::uint16_t kQuestionZone = 7780;        // of connection tracking: questions on their way to places
inline constexpr std::uint32_t kLoggedLength = 128;         // bytes of a packet

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
// Likewise, where only the names of the chains that are there are known (list_chain_names()).
void replace_rules(Batch& batch, const std::vector<std::string>& present_chains, const RulesetPlan& plan,
                   std::string_view table = kTableName);

// The rules of a plan as in_own_order() (rule_builder.h) gives what the kernel lists; handles 0, chain by chain.
std::vector<ListedRule> expected_rules(const RulesetPlan& plan, std::string_view table = kTableName);
std::vector<std::string> expected_chains(const RulesetPlan& plan);
// What of a table's rules is not the plan's, a sentence each: rules in a chain that are missing, more, or different.
std::vector<std::string> compare_rules(const RulesetPlan& plan, const std::vector<ListedRule>& listed,
                                       std::string_view table = kTableName);

// What an NFLOG message's prefix says: "namewall out 2", "namewall in 2", "namewall unknown 3", "namewall own 0",
// with " audit" behind it.
struct LogPrefix {
  enum class Kind {
    kOut,      // the mark is the token of the workload at `depth`
    kIn,       // likewise; the packet came in
    kUnknown,  // an unarmed cgroup at `depth`; the mark is the token of its parent, if it has one
    kOwn,      // came in by loopback for a socket that is not the sender's workload's; the mark is the sender's token
  } kind = Kind::kOut;
  std::uint32_t depth = 0;
  bool is_audit = false;
  friend bool operator==(const LogPrefix&, const LogPrefix&) = default;
};
std::string to_prefix(const LogPrefix& prefix);
std::optional<LogPrefix> parse_prefix(std::string_view text);

}  // namespace namewall::nft
