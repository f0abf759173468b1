#include "nft/chain_sheet.h"

#include <netinet/in.h>
// Behind it: they define the same.
#include <linux/netfilter.h>

#include <cstring>

namespace namewall::nft {
namespace {

constexpr std::uint32_t kTcpFlags = 13;
constexpr std::uint8_t kSyn = 0x02, kAck = 0x10;
constexpr std::uint32_t kLoopbackIndex = 1;  // in every network namespace
constexpr std::chrono::minutes kRateKept{1};

}  // namespace

const Family& ipv4() {
  static const Family family{.digit = "4",
                             .number = NFPROTO_IPV4,
                             .icmp = IPPROTO_ICMP,
                             .protocol_at = 9,
                             .source_at = 12,
                             .destination_at = 16,
                             .address_size = 4,
                             .learned = SetId::kLearned4,
                             .fixed = SetId::kFixed4,
                             .closed = SetId::kClosed4,
                             .resolvers = SetId::kResolvers4,
                             .places = SetId::kPlaces4,
                             .flows = SetId::kFlows4,
                             .asked = SetId::kAsked4,
                             .served = SetId::kServed4,
                             .wide = {SetId::kWide1_4, SetId::kWide2_4, SetId::kWide3_4, SetId::kWide4_4}};
  return family;
}

// The protocol is the first next header: a packet with extension headers has another one there.
const Family& ipv6() {
  static const Family family{.digit = "6",
                             .number = NFPROTO_IPV6,
                             .icmp = IPPROTO_ICMPV6,
                             .protocol_at = 6,
                             .source_at = 8,
                             .destination_at = 24,
                             .address_size = 16,
                             .learned = SetId::kLearned6,
                             .fixed = SetId::kFixed6,
                             .closed = SetId::kClosed6,
                             .resolvers = SetId::kResolvers6,
                             .places = SetId::kPlaces6,
                             .flows = SetId::kFlows6,
                             .asked = SetId::kAsked6,
                             .served = SetId::kServed6,
                             .wide = {SetId::kWide1_6, SetId::kWide2_6, SetId::kWide3_6, SetId::kWide4_6}};
  return family;
}

std::vector<std::uint32_t> ChainSheet::depths_below(std::uint32_t depth) const {
  return {std::make_reverse_iterator(plan.depths.lower_bound(depth)), plan.depths.rend()};
}

std::vector<std::uint32_t> ChainSheet::depths_from(std::uint32_t depth) const {
  return {plan.depths.rbegin(), std::make_reverse_iterator(plan.depths.lower_bound(depth))};
}

std::vector<std::uint32_t> ChainSheet::looked_at() const {
  auto all = plan.depths;
  for (const auto depth : plan.parent_depths) all.insert(depth + 1);
  return {all.rbegin(), all.rend()};
}

std::array<std::uint8_t, 4> in_host_order(std::uint32_t value) {
  std::array<std::uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

unsigned protocol_word(const Family& family) { return kKey + 2 + family.address_size / 4; }
unsigned port_word(const Family& family) { return protocol_word(family) + 1; }

namespace {

RuleBuilder& load_address(RuleBuilder& rule, const Family& family, Remote remote) {
  return rule
      .load(Header::kNetwork, remote == Remote::kSource ? family.source_at : family.destination_at, family.address_size,
            kKey + 2)
      .load(Header::kNetwork, family.protocol_at, 1, protocol_word(family));
}

}  // namespace

RuleBuilder& load_address_key(RuleBuilder& rule, const Family& family, std::uint32_t depth, Remote remote) {
  return load_address(rule.load_cgroup(depth, kKey), family, remote);
}

RuleBuilder& reload_key(RuleBuilder& rule, const Family& family, Remote remote, std::uint32_t port_at) {
  return load_address(rule, family, remote).load(Header::kTransport, port_at, 2, port_word(family));
}

RuleBuilder& load_key(RuleBuilder& rule, const Family& family, std::uint32_t depth, Remote remote,
                      std::uint32_t port_at) {
  return load_address_key(rule, family, depth, remote).load(Header::kTransport, port_at, 2, port_word(family));
}

RuleBuilder& load_key(RuleBuilder& rule, const Family& family, std::uint32_t depth, Remote remote) {
  return load_key(rule, family, depth, remote, remote == Remote::kSource ? 0 : 2);
}

RuleBuilder& load_port_key(RuleBuilder& rule, const Family& family, std::uint32_t depth, std::uint32_t port_at) {
  return rule.load_cgroup(depth, kKey)
      .load(Header::kNetwork, family.protocol_at, 1, kKey + 2)
      .load(Header::kTransport, port_at, 2, kKey + 3);
}

RuleBuilder& require_protocol(RuleBuilder& rule, const Family& family, std::uint8_t protocol) {
  return rule.load(Header::kNetwork, family.protocol_at, 1, kScratch).require(Comparison::kEqual, kScratch, {protocol});
}

RuleBuilder& require_tcp_underway(RuleBuilder& rule) {
  return rule.load(Header::kTransport, kTcpFlags, 1, kScratch)
      .mask(kScratch, {kSyn | kAck})
      .require(Comparison::kUnequal, kScratch, {kSyn});
}

RuleBuilder& require_tcp_start(RuleBuilder& rule) {
  return rule.load(Header::kTransport, kTcpFlags, 1, kScratch)
      .mask(kScratch, {kSyn | kAck})
      .require(Comparison::kEqual, kScratch, {kSyn});
}

RuleBuilder& require_loopback(RuleBuilder& rule, const Family& family, Remote remote) {
  const auto address_at = remote == Remote::kSource ? family.source_at : family.destination_at;
  if (family.number == NFPROTO_IPV4)
    return rule.load(Header::kNetwork, address_at, 1, kScratch).require(Comparison::kEqual, kScratch, {127});
  constexpr std::array<std::uint8_t, 16> kLoopback6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return rule.load(Header::kNetwork, address_at, 16, kScratch).require(Comparison::kEqual, kScratch, kLoopback6);
}

RuleBuilder& require_device(RuleBuilder& rule, Meta key, Comparison comparison) {
  return rule.load(key, kScratch).require(comparison, kScratch, in_host_order(kLoopbackIndex));
}

RuleBuilder& require_cgroup_in(RuleBuilder& rule, std::uint32_t depth, SetId set) {
  return rule.load_cgroup(depth, kKey).require_in(set, kKey);
}

RuleBuilder& set_token(RuleBuilder& rule, std::uint32_t depth) {
  return rule.load_cgroup(depth, kKey).map(SetId::kTokens, kKey, kScratch).set_mark(kScratch);
}

void add_refusal(ChainSheet& sheet, const std::string& chain, std::uint32_t depth, LogPrefix prefix, Answer answer,
                 bool knows_audit) {
  sheet.chains.push_back(chain);
  const auto group = sheet.plan.log_group;
  if (knows_audit) {
    // A flow is reported once.
    auto& underway =
        sheet.rule(chain).load(Meta::kProtocol, kScratch).require(Comparison::kEqual, kScratch, {IPPROTO_TCP});
    require_cgroup_in(require_tcp_underway(underway), depth, SetId::kAudited).return_();
  }
  sheet.rule(chain).load_cgroup(depth, kKey).enter(SetId::kRefused, kKey, Entering::kAdd);
  if (knows_audit) {
    auto audit = prefix;
    audit.is_audit = true;
    // The packet goes on, so its mark is lent for the report only; one that means something to others stays.
    auto& lent = sheet.rule(chain).load(Meta::kMark, kScratch).require(Comparison::kEqual, kScratch, in_host_order(0));
    set_token(
        require_cgroup_in(lent, depth, SetId::kAudited).enter(SetId::kReported, kKey, Entering::kUpdate, kRateKept),
        depth)
        .log(group, kLoggedLength, to_prefix(audit))
        .load_zero(4, kScratch)
        .set_mark(kScratch);
    auto& kept =
        sheet.rule(chain).load(Meta::kMark, kScratch).require(Comparison::kUnequal, kScratch, in_host_order(0));
    require_cgroup_in(kept, depth, SetId::kAudited)
        .enter(SetId::kReported, kKey, Entering::kUpdate, kRateKept)
        .log(group, kLoggedLength, to_prefix(audit));
    // Whom an audited datagram goes to may answer, without a report of its own.
    for (const auto* family : {&ipv4(), &ipv6()}) {
      if (prefix.kind != LogPrefix::Kind::kOut) break;
      auto& rule =
          sheet.rule(chain).load(Meta::kFamily, kScratch).require(Comparison::kEqual, kScratch, {family->number});
      require_cgroup_in(require_protocol(rule, *family, IPPROTO_UDP), depth, SetId::kAudited);
      reload_key(rule, *family, Remote::kDestination, 2).enter(family->asked, kKey, Entering::kUpdate, kAskedKept);
    }
    require_cgroup_in(sheet.rule(chain), depth, SetId::kAudited).return_();
  }
  set_token(sheet.rule(chain), depth);
  sheet.rule(chain)
      .load_cgroup(depth, kKey)
      .enter(SetId::kReported, kKey, Entering::kUpdate, kRateKept)
      .log(group, kLoggedLength, to_prefix(prefix));
  sheet.rule(chain).load(Meta::kProtocol, kScratch).require(Comparison::kEqual, kScratch, {IPPROTO_TCP}).reset_tcp();
  if (answer == Answer::kReject)
    sheet.rule(chain).reject();
  else
    sheet.rule(chain).drop();
}

}  // namespace namewall::nft
