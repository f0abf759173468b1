// Packets of workloads, as they leave: ruleset.h.
#include <netinet/in.h>
// Behind it: they define the same.
#include <linux/netfilter.h>

#include <array>

#include "nft/chain_sheet.h"

namespace namewall::nft {
namespace {

constexpr std::int32_t kBeforeTracking = -300, kBeforeTranslation = -150, kDestinationTranslation = -100;

std::string enter_chain(const Family& family, std::uint32_t depth) {
  return at(family.number == NFPROTO_IPV4 ? "enter" : "enter6", depth);
}
std::string chain(const char* name, const Family& family, std::uint32_t depth) {
  return at(name + family.digit, depth);
}

// A packet of this protocol without options, extension headers or fragments.
RuleBuilder& plain(RuleBuilder& rule, const Family& family, std::uint8_t protocol) {
  if (family.number == NFPROTO_IPV6) return require_protocol(rule, family, protocol);
  return rule.load(Header::kNetwork, 0, 1, kScratch)
      .require(Comparison::kEqual, kScratch, {0x45})
      .load(Header::kNetwork, 6, 4, kScratch)  // fragment, time to live, protocol
      .mask(kScratch, {0x3f, 0xff, 0, 0xff})
      .require(Comparison::kEqual, kScratch, {0, 0, 0, protocol});
}

// Most packets end here: few expressions, and those that set them apart first. Learned endpoints are never a resolver's
// port, and never on loopback.
void add_fast_rules(ChainSheet& sheet, const std::string& name, const Family& family, std::uint32_t depth) {
  require_tcp_underway(plain(sheet.rule(name), family, IPPROTO_TCP))
      .go_to(chain("tcp", family, depth))
      .note("TCP that does not begin a flow");
  load_key(plain(sheet.rule(name), family, IPPROTO_TCP), family, depth, Remote::kDestination)
      .require_in(family.learned, kKey)
      .enter(family.flows, kKey, Entering::kUpdate, kFlowKept)
      .return_()
      .note("TCP to a learned endpoint");
  load_key(plain(sheet.rule(name), family, IPPROTO_UDP), family, depth, Remote::kDestination)
      .require_in(family.learned, kKey)
      .enter(family.asked, kKey, Entering::kUpdate, kAskedKept)
      .return_()
      .note("UDP to a learned endpoint");
}

void add_tcp_chain(ChainSheet& sheet, const Family& family, std::uint32_t depth) {
  const auto name = chain("tcp", family, depth);
  sheet.chains.push_back(name);
  // Renewing costs as much as looking up: IPv4 does it once in 16 packets, by the number that each of a socket's
  // packets has one higher. (Keepalives every two hours: a day and a half.)
  const bool renews_in_turn = family.number == NFPROTO_IPV4;
  if (renews_in_turn) {
    auto& renewal = sheet.rule(name)
                        .load(Header::kNetwork, 5, 1, kScratch)
                        .mask(kScratch, {0x0f})
                        .require(Comparison::kEqual, kScratch, {0});
    load_key(renewal, family, depth, Remote::kDestination)
        .require_in(family.flows, kKey)
        .enter(family.flows, kKey, Entering::kUpdate, kFlowKept)
        .return_()
        .note("one packet in 16 renews");
  }
  auto& known = load_key(sheet.rule(name), family, depth, Remote::kDestination).require_in(family.flows, kKey);
  if (!renews_in_turn) known.enter(family.flows, kKey, Entering::kUpdate, kFlowKept);
  known.return_();
  for (const auto set : {SetId::kLoopbackOwn, SetId::kLoopbackAny})
    require_cgroup_in(require_loopback(sheet.rule(name), family, Remote::kDestination), depth, set)
        .go_to(chain("near", family, depth));
  // Each packet: the first one ends the short time that a handshake has.
  load_key(sheet.rule(name), family, depth, Remote::kDestination, 0)
      .require_in(family.served, kKey)
      .enter(family.served, kKey, Entering::kUpdate, kFlowKept)
      .return_();
  load_key(sheet.rule(name), family, depth, Remote::kDestination)
      .require_in(family.learned, kKey)
      .enter(family.flows, kKey, Entering::kUpdate, kFlowKept)
      .return_();
  sheet.rule(name).go_to(chain("rest", family, depth));
}

// TCP underway on loopback, where the workload may talk there.
void add_near_chain(ChainSheet& sheet, const Family& family, std::uint32_t depth) {
  const auto name = chain("near", family, depth);
  sheet.chains.push_back(name);
  load_key(sheet.rule(name), family, depth, Remote::kDestination)
      .require_in(family.resolvers, kKey)
      .go_to(chain("rest", family, depth));
  require_device(sheet.rule(name), Meta::kOutDevice, Comparison::kEqual).return_();
  sheet.rule(name).go_to(at("refuse", depth));
}

// Around the outermost workload there is none that would have to return, too: what returns at this level is accepted.
bool is_outermost(const ChainSheet& sheet, std::uint32_t depth) { return depth == *sheet.plan.depths.begin(); }
bool is_innermost(const ChainSheet& sheet, std::uint32_t depth) { return depth == *sheet.plan.depths.rbegin(); }

void add_enter_chain(ChainSheet& sheet, const Family& family, std::uint32_t depth) {
  const auto name = enter_chain(family, depth);
  sheet.chains.push_back(name);
  if (is_outermost(sheet, depth)) add_fast_rules(sheet, name, family, depth);
  if (family.number == NFPROTO_IPV4)
    sheet.rule(name)
        .load(Meta::kFamily, kScratch)
        .require(Comparison::kEqual, kScratch, {NFPROTO_IPV6})
        .go_to(enter_chain(ipv6(), depth));
  require_loopback(sheet.rule(name), family, Remote::kDestination).jump(chain("mine", family, depth));
  if (is_outermost(sheet, depth)) {
    sheet.rule(name).go_to(chain("rest", family, depth));
    return;
  }
  sheet.rule(name).jump(chain("out", family, depth));
  for (const auto outer : sheet.depths_below(depth))
    require_cgroup_in(sheet.rule(name), outer, SetId::kEnforced).jump(chain("out", family, outer));
  sheet.rule(name).accept();
}

// Whoever may write marks could write another's.
void add_mine_chain(ChainSheet& sheet, const Family& family, std::uint32_t depth) {
  const auto name = chain("mine", family, depth);
  sheet.chains.push_back(name);
  require_tcp_underway(plain(sheet.rule(name), family, IPPROTO_TCP)).return_();  // judged where it arrives: nothing
  set_token(sheet.rule(name), depth);
}

void add_ping_chain(ChainSheet& sheet, const Family& family, std::uint32_t depth, const std::string& refuse) {
  const auto name = chain("ping", family, depth);
  sheet.chains.push_back(name);
  if (family.number == NFPROTO_IPV6) {
    // The kernel's own, of the cgroup that made the network namespace. Routers do not pass on what hosts take.
    for (const auto type :
         std::array<std::uint8_t, 3>{133, 135, 136})  // router solicitation, neighbour solicitation and advertisement
      sheet.rule(name)
          .load(Header::kTransport, 0, 1, kScratch)
          .require(Comparison::kEqual, kScratch, {type})
          .load(Header::kNetwork, 7, 1, kScratch)
          .require(Comparison::kEqual, kScratch, {255})
          .return_();
  }
  for (const auto set : {family.learned, family.fixed})
    load_key(sheet.rule(name), family, depth, Remote::kDestination, 0).require_in(set, kKey).return_();
  load_key(sheet.rule(name), family, depth, Remote::kDestination, 0).require_in(family.closed, kKey).go_to(refuse);
  const auto echo = static_cast<std::uint8_t>((family.number == NFPROTO_IPV4 ? kEchoRequest4 : kEchoRequest6) >> 8);
  for (const auto set : {SetId::kLoopbackAny, SetId::kLoopbackOwn}) {
    auto& rule =
        sheet.rule(name).load(Header::kTransport, 0, 2, kScratch).require(Comparison::kEqual, kScratch, {echo, 0});
    require_cgroup_in(require_loopback(rule, family, Remote::kDestination), depth, set).return_();
  }
  sheet.rule(name).go_to(refuse);
}

// address . protocol . port of a question's resolver, looked up in places.
RuleBuilder& map_place(RuleBuilder& rule, const Family& family) {
  return rule.load(Header::kNetwork, family.destination_at, family.address_size, kKey)
      .load(Header::kNetwork, family.protocol_at, 1, kKey + family.address_size / 4)
      .load(Header::kTransport, 2, 2, kKey + family.address_size / 4 + 1)
      .map(family.places, kKey, kScratch);
}

// Questions to a resolver pass only if the nat chain takes them to the proxy: the flow is new to connection tracking,
// or was translated already.
void add_dns_chain_of(ChainSheet& sheet, const Family& family, std::uint32_t depth, const std::string& refuse) {
  const auto name = chain("dns", family, depth);
  sheet.chains.push_back(name);
  if (sheet.plan.redirects_dns) {
    constexpr std::uint32_t kConfirmed = 1 << 3, kTranslated = 1 << 5;  // IPS_CONFIRMED, IPS_DST_NAT
    auto& rule = sheet.rule(name)
                     .load_flow_status(kScratch)
                     .mask(kScratch, in_host_order(kConfirmed | kTranslated))
                     .require(Comparison::kUnequal, kScratch, in_host_order(kConfirmed));
    map_place(rule, family).go_to(at("mark", depth));
  }
  sheet.rule(name).go_to(refuse);
}

void add_mark_chain(ChainSheet& sheet, std::uint32_t depth) {
  const auto name = at("mark", depth);
  sheet.chains.push_back(name);
  for (const auto inner : sheet.depths_from(depth)) set_token(sheet.rule(name), inner).return_();
  sheet.rule(name).go_to(at("refuse", depth));
}

void add_loop_chain(ChainSheet& sheet, const Family& family, std::uint32_t depth, const std::string& refuse) {
  const auto name = chain("loop", family, depth);
  sheet.chains.push_back(name);
  load_key(sheet.rule(name), family, depth, Remote::kDestination).require_in(family.closed, kKey).go_to(refuse);
  require_cgroup_in(sheet.rule(name), depth, SetId::kLoopbackAny).return_();
  load_key(sheet.rule(name), family, depth, Remote::kDestination).require_in(family.fixed, kKey).return_();
  require_cgroup_in(sheet.rule(name), depth, SetId::kLoopbackOwn)
      .load(Meta::kMark, kScratch)
      .mask(kScratch, in_host_order(0xffff0000), in_host_order(kOwnMark))
      .set_mark(kScratch)
      .return_();
  sheet.rule(name).go_to(refuse);
}

void add_wide_rules(ChainSheet& sheet, const std::string& name, const Family& family, std::uint32_t depth) {
  constexpr std::array kPorts{SetId::kWidePorts1, SetId::kWidePorts2, SetId::kWidePorts3, SetId::kWidePorts4};
  for (unsigned i = 0; i < kWideSets; ++i) {
    auto& rule =
        load_address_key(sheet.rule(name), family, depth, Remote::kDestination).require_in(family.wide[i], kKey);
    load_port_key(rule, family, depth, 2).require_in(kPorts[i], kKey).go_to(chain("wide", family, depth));
  }
  for (const auto ports : kPorts) {
    auto& rule = require_tcp_underway(require_protocol(sheet.rule(name), family, IPPROTO_TCP));
    load_address_key(rule, family, depth, Remote::kDestination)
        .load_zero(2, port_word(family))
        .require_in(family.flows, kKey)
        .enter(family.flows, kKey, Entering::kUpdate, kFlowKept);
    load_port_key(rule, family, depth, 2).require_in(ports, kKey).return_();
  }
}

void add_wide_chain(ChainSheet& sheet, const Family& family, std::uint32_t depth) {
  const auto name = chain("wide", family, depth);
  sheet.chains.push_back(name);
  load_address_key(require_protocol(sheet.rule(name), family, IPPROTO_TCP), family, depth, Remote::kDestination)
      .load_zero(2, port_word(family))
      .enter(family.flows, kKey, Entering::kUpdate, kFlowKept)
      .return_();
  load_address_key(require_protocol(sheet.rule(name), family, IPPROTO_UDP), family, depth, Remote::kDestination)
      .load_zero(2, port_word(family))
      .enter(family.asked, kKey, Entering::kUpdate, kAskedKept)
      .return_();
  sheet.rule(name).return_();  // the set is full
}

void add_rest_chain(ChainSheet& sheet, const Family& family, std::uint32_t depth, const std::string& refuse) {
  const auto name = chain("rest", family, depth);
  sheet.chains.push_back(name);
  const auto key = [&](RuleBuilder& rule) -> RuleBuilder& {
    return load_key(rule, family, depth, Remote::kDestination);
  };
  if (family.number == NFPROTO_IPV4) {
    sheet.rule(name)
        .load(Header::kNetwork, 0, 1, kScratch)
        .require(Comparison::kUnequal, kScratch, {0x45})
        .go_to(refuse)
        .note("options");
    sheet.rule(name)
        .load(Header::kNetwork, 6, 2, kScratch)
        .mask(kScratch, {0x3f, 0xff})
        .require(Comparison::kUnequal, kScratch, {0, 0})
        .go_to(refuse)
        .note("fragments");
  }
  // IP_PKTINFO or a bound device would put it on the wire, where nobody judges loopback and no proxy reads.
  require_device(require_loopback(sheet.rule(name), family, Remote::kDestination), Meta::kOutDevice,
                 Comparison::kUnequal)
      .go_to(refuse)
      .note("loopback addresses by another device");
  require_protocol(sheet.rule(name), family, family.icmp).go_to(chain("ping", family, depth)).note("ICMP");
  // Before all that may name it by a range: the port of a resolver is for questions that somebody reads.
  key(sheet.rule(name)).require_in(family.resolvers, kKey).go_to(chain("dns", family, depth)).note("questions");
  key(require_protocol(sheet.rule(name), family, IPPROTO_UDP))
      .require_in(family.served, kKey)
      .return_()
      .note("answers");
  require_loopback(sheet.rule(name), family, Remote::kDestination).go_to(chain("loop", family, depth)).note("loopback");
  key(sheet.rule(name)).require_in(family.fixed, kKey).return_().note("address rules");
  add_wide_rules(sheet, name, family, depth);
  // Where flows or asked are full: then it is allowed as long as its grant lives, and no longer.
  key(sheet.rule(name)).require_in(family.learned, kKey).return_().note("flows or asked are full");
  sheet.rule(name).go_to(refuse);
}

void add_out_chain(ChainSheet& sheet, const Family& family, std::uint32_t depth) {
  const auto name = chain("out", family, depth);
  const auto refuse = at("refuse", depth);
  if (!is_outermost(sheet, depth) || !is_innermost(sheet, depth)) {
    sheet.chains.push_back(name);
    add_fast_rules(sheet, name, family, depth);
    sheet.rule(name).go_to(chain("rest", family, depth));
  }
  add_tcp_chain(sheet, family, depth);
  add_near_chain(sheet, family, depth);
  add_rest_chain(sheet, family, depth, refuse);
  add_ping_chain(sheet, family, depth, refuse);
  add_dns_chain_of(sheet, family, depth, refuse);
  add_loop_chain(sheet, family, depth, refuse);
  add_wide_chain(sheet, family, depth);
}

}  // namespace

void add_output_chains(ChainSheet& sheet) {
  const std::string output = "output";
  sheet.base_chains.push_back({output, "filter", NF_INET_LOCAL_OUT, kBeforeTranslation});
  for (const auto depth : sheet.looked_at()) {
    if (sheet.plan.depths.contains(depth))
      require_cgroup_in(sheet.rule(output), depth, SetId::kEnforced).go_to(enter_chain(ipv4(), depth));
    if (depth > 0 && sheet.plan.parent_depths.contains(depth - 1)) {
      constexpr std::array<std::uint8_t, 8> kNone{};
      auto& rule = sheet.rule(output).load_cgroup(depth, kScratch).require(Comparison::kUnequal, kScratch, kNone);
      require_cgroup_in(rule, depth - 1, SetId::kParents).go_to(at("unknown", depth));
    }
  }
  for (const auto depth : sheet.plan.depths) {
    for (const auto* family : {&ipv4(), &ipv6()}) {
      add_enter_chain(sheet, *family, depth);
      add_mine_chain(sheet, *family, depth);
      add_out_chain(sheet, *family, depth);
    }
    add_mark_chain(sheet, depth);
    add_refusal(sheet, at("refuse", depth), depth, {LogPrefix::Kind::kOut, depth}, Answer::kReject, true);
  }
  for (const auto parent : sheet.plan.parent_depths)
    add_refusal(sheet, at("unknown", parent + 1), parent, {LogPrefix::Kind::kUnknown, parent + 1}, Answer::kReject,
                false);
}

namespace {

// The port that a workload asked from may be somebody else's next, the proxy's own towards the same resolver among
// them: within one zone the new flow would be taken for the old one, and go its way.
void add_zone_chains(ChainSheet& sheet) {
  const std::string zone = "zone";
  sheet.base_chains.push_back({zone, "filter", NF_INET_LOCAL_OUT, kBeforeTracking});
  for (const auto* family : {&ipv4(), &ipv6()}) {
    const auto name = zone + family->digit;
    auto& rule = sheet.rule(zone).load(Meta::kFamily, kScratch).require(Comparison::kEqual, kScratch, {family->number});
    map_place(rule, *family).go_to(name);
    sheet.chains.push_back(name);
    for (const auto depth : sheet.depths_from(0)) {
      load_key(sheet.rule(name), *family, depth, Remote::kDestination)
          .require_in(family->resolvers, kKey)
          .set_original_zone(kQuestionZone, kScratch)
          .return_();
    }
  }
}

}  // namespace

void add_dns_chain(ChainSheet& sheet) {
  if (!sheet.plan.redirects_dns) return;
  add_zone_chains(sheet);
  const std::string dns = "dns";
  sheet.base_chains.push_back({dns, "nat", NF_INET_LOCAL_OUT, kDestinationTranslation});
  for (const auto depth : sheet.depths_from(0)) {
    for (const auto* family : {&ipv4(), &ipv6()}) {
      auto& rule =
          sheet.rule(dns).load(Meta::kFamily, kScratch).require(Comparison::kEqual, kScratch, {family->number});
      load_key(rule, *family, depth, Remote::kDestination).require_in(family->resolvers, kKey);
      map_place(rule, *family).redirect(kScratch);
    }
  }
}

}  // namespace namewall::nft
