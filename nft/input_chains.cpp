// Packets that arrive for workloads: ruleset.h.
#include <netinet/in.h>
// Behind it: they define the same.
#include <linux/netfilter.h>

#include <array>

#include "nft/chain_sheet.h"

namespace namewall::nft {
namespace {

constexpr std::int32_t kAfterTranslation = 150;  // of sources, back: 100

std::string entered_chain(const Family& family, std::uint32_t depth) {
  return at(family.number == NFPROTO_IPV4 ? "entered" : "entered6", depth);
}
std::string in_chain(const Family& family, std::uint32_t depth) { return at("in" + family.digit, depth); }

void add_entered_chain(ChainSheet& sheet, const Family& family, std::uint32_t depth) {
  const auto name = entered_chain(family, depth);
  sheet.chains.push_back(name);
  if (family.number == NFPROTO_IPV4)
    sheet.rule(name)
        .load(Meta::kFamily, kScratch)
        .require(Comparison::kEqual, kScratch, {NFPROTO_IPV6})
        .go_to(entered_chain(ipv6(), depth));
  if (depth == *sheet.plan.depths.begin()) {
    sheet.rule(name).go_to(in_chain(family, depth));  // what it returns is accepted
    return;
  }
  sheet.rule(name).jump(in_chain(family, depth));
  for (const auto outer : sheet.depths_below(depth))
    require_cgroup_in(sheet.rule(name), outer, SetId::kEnforced).jump(in_chain(family, outer));
  sheet.rule(name).accept();
}

// mark . cgroup, in 3 words.
RuleBuilder& require_own_pair(RuleBuilder& rule, std::uint32_t depth) {
  return rule.load(Meta::kMark, kKey)
      .mask(kKey, in_host_order(0xffff0000))
      .load_cgroup(depth, kKey + 1)
      .require_in(SetId::kOwnPairs, kKey);
}

void add_in_chain(ChainSheet& sheet, const Family& family, std::uint32_t depth) {
  const auto name = in_chain(family, depth);
  sheet.chains.push_back(name);
  const auto of = [&](std::uint8_t protocol) -> RuleBuilder& {
    return require_protocol(sheet.rule(name), family, protocol);
  };
  const auto key = [&](RuleBuilder& rule) -> RuleBuilder& { return load_key(rule, family, depth, Remote::kSource); };

  // A socket that is not connected is looked up anew for each expression that asks for its cgroup.
  load_port_key(of(IPPROTO_TCP), family, depth, 2).require_in(SetId::kListen, kKey);
  reload_key(sheet.rules.back(), family, Remote::kSource, 2)
      .enter(family.served, kKey, Entering::kAdd, kHandshakeKept)
      .return_()
      .note("TCP to a port that the policy listens on");
  key(of(IPPROTO_UDP)).require_in(family.asked, kKey).return_().note("answers of whom it asked");
  load_port_key(of(IPPROTO_UDP), family, depth, 2).require_in(SetId::kListen, kKey);
  reload_key(sheet.rules.back(), family, Remote::kSource, 0)
      .enter(family.served, kKey, Entering::kUpdate, kAnswerableKept)
      .return_()
      .note("UDP to a port that the policy listens on");

  const auto loopback = [&]() -> RuleBuilder& {
    return require_device(require_loopback(sheet.rule(name), family, Remote::kSource), Meta::kInDevice,
                          Comparison::kEqual);
  };
  require_cgroup_in(loopback(), depth, SetId::kLoopbackAny).return_();

  for (const auto set : {family.learned, family.fixed}) key(of(IPPROTO_UDP)).require_in(set, kKey).return_();
  key(require_device(of(IPPROTO_UDP), Meta::kInDevice, Comparison::kEqual))
      .require_in(family.resolvers, kKey)
      .return_();
  constexpr std::array kPorts{SetId::kWidePorts1, SetId::kWidePorts2, SetId::kWidePorts3, SetId::kWidePorts4};
  for (const auto ports : kPorts) {
    auto& rule = load_address_key(of(IPPROTO_UDP), family, depth, Remote::kSource)
                     .load_zero(2, port_word(family))
                     .require_in(family.asked, kKey);
    load_port_key(rule, family, depth, 0).require_in(ports, kKey).return_();
  }
  sheet.rule(name).go_to(at("refuse_in", depth));
}

// The sender goes by loopback = "own" and its token is in the mark: the socket here must be of its workload.
void add_own_chains(ChainSheet& sheet) {
  const std::string own = "own";
  sheet.chains.push_back(own);
  for (const auto depth : sheet.depths_from(0)) {
    require_own_pair(sheet.rule(own), depth).go_to(at(own, depth));
    const auto name = at(own, depth);
    sheet.chains.push_back(name);
    // Both are in this workload, and in those around it. A workload within it that the socket is in may not listen.
    for (const auto inner : sheet.depths_from(depth + 1)) {
      for (const auto* family : {&ipv4(), &ipv6()}) {
        auto& rule =
            sheet.rule(name).load(Meta::kFamily, kScratch).require(Comparison::kEqual, kScratch, {family->number});
        require_cgroup_in(rule, inner, SetId::kEnforced).jump(in_chain(*family, inner));
      }
    }
    sheet.rule(name).accept();
  }
  sheet.rule(own)
      .limit(kReportRate, kReportBurst)
      .log(sheet.plan.log_group, kLoggedLength, to_prefix({LogPrefix::Kind::kOwn, 0}));
  sheet.rule(own).load(Meta::kProtocol, kScratch).require(Comparison::kEqual, kScratch, {IPPROTO_TCP}).reset_tcp();
  sheet.rule(own).reject();
}

}  // namespace

void add_input_chains(ChainSheet& sheet) {
  const std::string input = "input";
  sheet.base_chains.push_back({input, "filter", NF_INET_LOCAL_IN, kAfterTranslation});
  const auto protocol = [&](Comparison comparison, std::uint8_t number) -> RuleBuilder& {
    return sheet.rule(input).load(Meta::kProtocol, kScratch).require(comparison, kScratch, {number});
  };
  require_tcp_underway(protocol(Comparison::kEqual, IPPROTO_TCP)).accept().note("TCP that does not begin a flow");
  protocol(Comparison::kUnequal, IPPROTO_TCP).require(Comparison::kUnequal, kScratch, {IPPROTO_UDP}).accept();
  sheet.rule(input)
      .load(Meta::kMark, kScratch)
      .mask(kScratch, in_host_order(0x0000ffff))
      .require(Comparison::kEqual, kScratch, in_host_order(kOwnMark));
  require_device(sheet.rules.back(), Meta::kInDevice, Comparison::kEqual).go_to("own");
  for (const auto depth : sheet.looked_at()) {
    if (sheet.plan.depths.contains(depth))
      require_cgroup_in(sheet.rule(input), depth, SetId::kEnforced).go_to(entered_chain(ipv4(), depth));
    if (depth > 0 && sheet.plan.parent_depths.contains(depth - 1)) {
      constexpr std::array<std::uint8_t, 8> kNone{};
      auto& rule = sheet.rule(input).load_cgroup(depth, kScratch).require(Comparison::kUnequal, kScratch, kNone);
      require_cgroup_in(rule, depth - 1, SetId::kParents).go_to(at("unknown_in", depth));
    }
  }
  add_own_chains(sheet);
  for (const auto depth : sheet.plan.depths) {
    for (const auto* family : {&ipv4(), &ipv6()}) {
      add_entered_chain(sheet, *family, depth);
      add_in_chain(sheet, *family, depth);
    }
    add_refusal(sheet, at("refuse_in", depth), depth, {LogPrefix::Kind::kIn, depth}, Answer::kDrop, true);
  }
  for (const auto parent : sheet.plan.parent_depths)
    add_refusal(sheet, at("unknown_in", parent + 1), parent, {LogPrefix::Kind::kUnknown, parent + 1}, Answer::kDrop,
                false);
}

}  // namespace namewall::nft
