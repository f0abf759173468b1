// Chains and their rules while they are put together, and what the rules of both directions have in common.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nft/rule_builder.h"
#include "nft/ruleset.h"
#include "nft/table_shape.h"

namespace namewall::nft {

struct BaseChain {
  std::string name, type;
  std::uint32_t hook = 0;
  std::int32_t priority = 0;
};

// Where things lie in a packet of one IP version, and the sets that hold its addresses.
struct Family {
  std::string digit;
  std::uint8_t number;  // NFPROTO_*
  std::uint8_t icmp;    // IPPROTO_*
  std::uint32_t protocol_at, source_at, destination_at, address_size;
  SetId learned, fixed, closed, resolvers, places, flows, asked, served;
  std::array<SetId, kWideSets> wide;
};
const Family& ipv4();
const Family& ipv6();

struct ChainSheet {
  RulesetPlan plan;
  std::string table;
  std::vector<BaseChain> base_chains;
  std::vector<std::string> chains;
  std::vector<RuleBuilder> rules;

  // The chain's next rule; valid until the next call.
  RuleBuilder& rule(const std::string& chain) { return rules.emplace_back(table, chain); }
  std::vector<std::uint32_t> depths_below(std::uint32_t depth) const;  // smaller than it, the deepest first
  std::vector<std::uint32_t> depths_from(std::uint32_t depth) const;   // it and larger, the deepest first
  // At which a packet's socket is looked at: workloads, and children of parents. The deepest first.
  std::vector<std::uint32_t> looked_at() const;
};

void add_output_chains(ChainSheet& sheet);
void add_input_chains(ChainSheet& sheet);
void add_dns_chain(ChainSheet& sheet);

inline std::string at(const std::string& chain, std::uint32_t depth) { return chain + "_" + std::to_string(depth); }

// ---- parts of rules ----

inline constexpr unsigned kKey = 0;      // words 0 to 7: a key
inline constexpr unsigned kScratch = 8;  // what is compared at once

std::array<std::uint8_t, 4> in_host_order(std::uint32_t value);
unsigned protocol_word(const Family& family);  // of a key
unsigned port_word(const Family& family);

enum class Remote { kSource, kDestination };
// cgroup . address . protocol, then . port from this offset of the transport header.
RuleBuilder& load_address_key(RuleBuilder& rule, const Family& family, std::uint32_t depth, Remote remote);
RuleBuilder& load_key(RuleBuilder& rule, const Family& family, std::uint32_t depth, Remote remote,
                      std::uint32_t port_at);
RuleBuilder& load_key(RuleBuilder& rule, const Family& family, std::uint32_t depth, Remote remote);
// The same without the cgroup: it is in its place already.
RuleBuilder& reload_key(RuleBuilder& rule, const Family& family, Remote remote, std::uint32_t port_at);
// cgroup . protocol . port
RuleBuilder& load_port_key(RuleBuilder& rule, const Family& family, std::uint32_t depth, std::uint32_t port_at);

RuleBuilder& require_protocol(RuleBuilder& rule, const Family& family, std::uint8_t protocol);
RuleBuilder& require_tcp_underway(RuleBuilder& rule);  // not SYN without ACK; of TCP
RuleBuilder& require_tcp_start(RuleBuilder& rule);
RuleBuilder& require_loopback(RuleBuilder& rule, const Family& family, Remote remote);  // the address
RuleBuilder& require_device(RuleBuilder& rule, Meta key, Comparison comparison);        // lo, or not
RuleBuilder& require_cgroup_in(RuleBuilder& rule, std::uint32_t depth, SetId set);
RuleBuilder& set_token(RuleBuilder& rule, std::uint32_t depth);  // as the packet's mark

enum class Answer { kReject, kDrop };  // to what is not TCP
// Chains that count and report. `depth` is the workload's, or the parent's of an unknown child.
void add_refusal(ChainSheet& sheet, const std::string& chain, std::uint32_t depth, LogPrefix prefix, Answer answer,
                 bool knows_audit);

}  // namespace namewall::nft
