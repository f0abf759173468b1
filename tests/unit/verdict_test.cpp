#include "policy/verdict.h"

#include <gtest/gtest.h>

#include "tests/support/dns_builder.h"
#include "tests/support/random_policy.h"

namespace namewall {
namespace {

using namewall::testing::address_of;
using namewall::testing::name_of;
using namewall::testing::rule_of;

BootTime at(int seconds) { return {std::chrono::seconds(seconds)}; }

// A policy and what its workload has learned; verdicts are asked at 100 s.
class Workload {
 public:
  explicit Workload(const std::vector<std::string>& allow, const std::vector<std::string>& deny = {}) {
    for (const std::string& text : allow) policy.allow.push_back(rule_of(text, EndpointUse::kAllow));
    for (const std::string& text : deny) policy.deny.push_back(rule_of(text, EndpointUse::kDeny));
    policy.dns.resolvers = {{address_of("192.0.2.53"), Port{53}}, {address_of("127.0.0.53"), Port{53}}};
  }

  PolicyImage image() const { return *compile_policy(policy, host, {}); }

  Workload& learned(const std::string& name, const std::string& address, int until, const std::string& ports) {
    const PortSet set =
        ports.empty() ? PortSet() : rule_of("tcp://x.example:" + ports, EndpointUse::kAllow).endpoint.ports;
    grants.learn({{name_of(name), address_of(address), at(until), image().mask_of(set), NW_REASON_NONE}}, at(0));
    return *this;
  }

  Workload& noted(const std::string& name, const std::string& address, Reason reason) {
    grants.learn({{name_of(name), address_of(address), at(50), 0, reason}}, at(50));
    return *this;
  }

  Verdict verdict(Protocol protocol, const std::string& address, std::uint16_t port,
                  LoopbackListener listener = LoopbackListener::kNone) const {
    return judge(image(), grants, {protocol, address_of(address), Port{port}}, at(100), listener);
  }

  // "allowed" or the code of the reason, and the stage that decided.
  std::string tcp(const std::string& address, std::uint16_t port,
                  LoopbackListener listener = LoopbackListener::kNone) const {
    return describe(verdict(Protocol::kTcp, address, port, listener));
  }
  std::string udp(const std::string& address, std::uint16_t port) const {
    return describe(verdict(Protocol::kUdp, address, port));
  }

  static std::string describe(const Verdict& verdict) {
    EXPECT_TRUE(verdict.walk.back().decided);
    return std::string(verdict.reason == NW_REASON_NONE ? "allowed" : code_of(verdict.reason)) + " by " +
           verdict.walk.back().stage;
  }

  Policy policy;
  HostPolicy host;
  GrantTable grants{64};
};

TEST(Verdict, RefusesWhatNothingNames) {
  EXPECT_EQ(Workload({}).tcp("192.0.2.1", 443), "not_looked_up by grants");
  EXPECT_EQ(Workload({"www.example.com"}).tcp("192.0.2.1", 443), "not_looked_up by grants");
}

TEST(Verdict, AllowsWhatAnAddressRuleNamesOnItsPortsAndProtocol) {
  const Workload workload({"tcp://192.0.2.0/24:443"});
  EXPECT_EQ(workload.tcp("192.0.2.1", 443), "allowed by address rules");
  EXPECT_EQ(workload.tcp("192.0.2.1", 444), "port by grants");
  EXPECT_EQ(workload.udp("192.0.2.1", 443), "port by grants");
  EXPECT_EQ(workload.tcp("192.0.3.1", 443), "not_looked_up by grants");
}

TEST(Verdict, PortsThatARuleOpensAndADenyTakesAwayAreNoOtherPorts) {
  EXPECT_EQ(Workload({"tcp://192.0.2.1:443"}, {"tcp://192.0.2.1:443"}).tcp("192.0.2.1", 22), "not_looked_up by grants");
}

TEST(Verdict, WhatALookupGaveIsToldBeforeTheOtherPortsOfAnAddressRule) {
  Workload workload({"tcp://192.0.2.1:22", "www.example.com"});
  workload.learned("www.example.com", "192.0.2.1", 50, "443");
  EXPECT_EQ(workload.tcp("192.0.2.1", 443), "expired by grants");
}

TEST(Verdict, HostDeniesComeBeforeEverything) {
  Workload workload({"tcp://192.0.2.0/24:*", "*://127.0.0.1:1"}, {"192.0.2.1"});
  workload.host.deny = {rule_of("192.0.2.0/25", EndpointUse::kDeny), rule_of("127.0.0.0/8", EndpointUse::kDeny)};
  workload.policy.loopback = Loopback::kAny;
  EXPECT_EQ(workload.tcp("192.0.2.1", 443), "host_deny by host deny");
  EXPECT_EQ(workload.tcp("127.0.0.1", 1), "host_deny by host deny");
  EXPECT_EQ(workload.udp("192.0.2.53", 53), "host_deny by host deny");
}

TEST(Verdict, DenyRulesBeatAddressRulesGrantsAndResolvers) {
  Workload workload({"tcp://192.0.2.0/24:*", "www.example.com"}, {"192.0.2.1", "192.0.2.53", "tcp://198.51.100.1:443"});
  workload.learned("www.example.com", "198.51.100.1", 200, "443,444");
  EXPECT_EQ(workload.tcp("192.0.2.1", 443), "deny_rule by deny rules");
  EXPECT_EQ(workload.udp("192.0.2.53", 53), "deny_rule by deny rules");
  EXPECT_EQ(workload.tcp("198.51.100.1", 443), "deny_rule by deny rules");
}

TEST(Verdict, TrustedResolversAreAllowedOnTheirPortOnly) {
  const Workload workload({"tcp://192.0.2.53:53"});
  EXPECT_EQ(workload.udp("192.0.2.53", 53), "allowed by resolver");
  EXPECT_EQ(workload.udp("127.0.0.53", 53), "allowed by resolver");
  EXPECT_EQ(workload.tcp("192.0.2.53", 53), "allowed by resolver");
  EXPECT_EQ(workload.udp("192.0.2.53", 54), "port by grants");
  EXPECT_EQ(workload.udp("192.0.2.54", 53), "untrusted_resolver by grants");
  EXPECT_EQ(workload.tcp("192.0.2.54", 53), "untrusted_resolver by grants");
}

TEST(Verdict, ResolversThatTheProxyWatchesAreRefusedWhereItIsNot) {
  const Workload workload({});
  PolicyImage image = workload.image();
  const auto without_proxy = [&](Protocol protocol) {
    return Workload::describe(judge(image, workload.grants, {protocol, address_of("192.0.2.53"), Port{53}}, at(100),
                                    LoopbackListener::kNone, ResolverProxy::kAbsent));
  };
  EXPECT_EQ(without_proxy(Protocol::kTcp), "no_proxy_in_netns by resolver");
  EXPECT_EQ(without_proxy(Protocol::kUdp), "allowed by resolver");
  image.learn = Learn::kProxy;
  EXPECT_EQ(without_proxy(Protocol::kUdp), "no_proxy_in_netns by resolver");
  EXPECT_EQ(workload.udp("192.0.2.53", 53), "allowed by resolver");
}

TEST(Verdict, OwnLoopbackReachesTheWorkloadsOwnSocketsAlone) {
  const Workload workload({"*://*:*"});
  for (const char* address : {"127.0.0.1", "127.255.0.9", "::1", "0.0.0.0", "::"}) {
    EXPECT_EQ(workload.tcp(address, 80, LoopbackListener::kOwn), "allowed by loopback") << address;
    EXPECT_EQ(workload.tcp(address, 80, LoopbackListener::kForeign), "loopback by address rules") << address;
    EXPECT_EQ(workload.tcp(address, 80, LoopbackListener::kNone), "loopback by address rules") << address;
  }
}

TEST(Verdict, LoopbackNoneIsClosedAlsoToOwnSocketsAndAnyIsOpen) {
  Workload workload({});
  workload.policy.loopback = Loopback::kNone;
  EXPECT_EQ(workload.tcp("127.0.0.1", 80, LoopbackListener::kOwn), "loopback by address rules");
  workload.policy.loopback = Loopback::kAny;
  EXPECT_EQ(workload.tcp("127.0.0.1", 80, LoopbackListener::kForeign), "allowed by loopback");
}

TEST(Verdict, AddressRulesInsideLoopbackOpenIt) {
  Workload workload({"tcp://127.0.0.1:5432"});
  for (const Loopback loopback : {Loopback::kNone, Loopback::kOwn}) {
    workload.policy.loopback = loopback;
    EXPECT_EQ(workload.tcp("127.0.0.1", 5432, LoopbackListener::kForeign), "allowed by address rules");
    EXPECT_EQ(workload.tcp("127.0.0.1", 5433, LoopbackListener::kForeign), "loopback by address rules");
  }
}

TEST(Verdict, NamesNeverOpenLoopback) {
  Workload workload({"www.example.com"});
  workload.learned("www.example.com", "127.0.0.1", 200, "443");
  EXPECT_EQ(workload.tcp("127.0.0.1", 443), "loopback by address rules");
}

TEST(Verdict, GrantsAreLiveUntilTheirDeadline) {
  Workload workload({"www.example.com"});
  workload.learned("www.example.com", "192.0.2.1", 101, "443").learned("www.example.com", "192.0.2.2", 100, "443");
  EXPECT_EQ(workload.tcp("192.0.2.1", 443), "allowed by grants");
  EXPECT_EQ(workload.tcp("192.0.2.2", 443), "expired by grants");
}

TEST(Verdict, EachNameOfAnAddressOpensItsOwnPorts) {
  Workload workload({"tcp://a.example:22", "tcp://b.example:443"});
  workload.learned("a.example", "192.0.2.1", 200, "22").learned("b.example", "192.0.2.1", 50, "443");
  EXPECT_EQ(workload.tcp("192.0.2.1", 22), "allowed by grants");
  EXPECT_EQ(workload.tcp("192.0.2.1", 443), "port by grants");
  const Verdict verdict = workload.verdict(Protocol::kTcp, "192.0.2.1", 443);
  ASSERT_EQ(verdict.names.size(), 2u);
  EXPECT_EQ(verdict.names[0].text(), "a.example");
}

// One entry for each rank of the header, each put under the ones before it.
TEST(Verdict, ReportsTheFirstReasonOfTheList) {
  const char* address = "192.0.2.1";
  Workload workload({"tcp://a.example:22", "tcp://b.example:443"});
  const auto reason = [&] { return workload.tcp(address, 443); };
  workload.learned("g.example", address, 50, "");
  EXPECT_EQ(reason(), "not_allowed_now by grants");
  workload.learned("f.example", address, 50, "22");
  EXPECT_EQ(reason(), "expired by grants");
  workload.noted("e.example", address, NW_REASON_SPECIAL_ANSWER);
  EXPECT_EQ(reason(), "special_answer by grants");
  workload.noted("d.example", address, NW_REASON_PRIVATE_ANSWER);
  EXPECT_EQ(reason(), "private_answer by grants");
  workload.learned("c.example", address, 200, "");
  EXPECT_EQ(reason(), "not_allowed_now by grants");
  workload.learned("b.example", address, 50, "443");
  EXPECT_EQ(reason(), "expired by grants");
  workload.learned("a.example", address, 200, "22");
  EXPECT_EQ(reason(), "port by grants");
}

TEST(Verdict, AuditAllowsWithTheReasonItWouldRefuseWith) {
  Workload workload({}, {"192.0.2.1"});
  workload.policy.mode = Mode::kAudit;
  const Verdict denied = workload.verdict(Protocol::kTcp, "192.0.2.1", 443);
  EXPECT_TRUE(denied.allowed);
  EXPECT_EQ(denied.reason, NW_REASON_DENY_RULE);
  workload.policy.mode = Mode::kEnforce;
  EXPECT_FALSE(workload.verdict(Protocol::kTcp, "192.0.2.1", 443).allowed);
}

TEST(Verdict, ItsWalkSaysWhatWasCompared) {
  Workload workload({"tcp://192.0.2.0/24:22", "www.example.com"});
  workload.learned("www.example.com", "192.0.2.1", 60, "443");
  std::string text;
  for (const VerdictStep& step : workload.verdict(Protocol::kTcp, "192.0.2.1", 443).walk) {
    text += step.stage + ": " + step.detail + (step.decided ? "!\n" : "\n");
  }
  EXPECT_EQ(text,
            "host deny: no port is denied by the host at 192.0.2.1\n"
            "deny rules: no port is denied at 192.0.2.1\n"
            "resolver: not a trusted resolver\n"
            "address rules: tcp/22 is allowed at 192.0.2.1\n"
            "grants: www.example.com tcp/443 until 40 s ago!\n");
}

TEST(Verdict, IcmpIsAProtocolOfItsOwn) {
  Workload workload({"icmp://192.0.2.1", "tcp://192.0.2.2:*"});
  EXPECT_EQ(Workload::describe(workload.verdict(Protocol::kIcmp, "192.0.2.1", 0)), "allowed by address rules");
  EXPECT_EQ(Workload::describe(workload.verdict(Protocol::kIcmp, "192.0.2.2", 0)), "port by grants");
  EXPECT_EQ(workload.tcp("192.0.2.1", 1), "port by grants");
}

TEST(Destination, PrintsAsPeopleWriteIt) {
  EXPECT_EQ((Destination{Protocol::kTcp, address_of("192.0.2.1"), Port{443}}.to_string()), "tcp 192.0.2.1:443");
  EXPECT_EQ((Destination{Protocol::kUdp, address_of("2001:db8::1"), Port{53}}.to_string()), "udp [2001:db8::1]:53");
  EXPECT_EQ((Destination{Protocol::kIcmp, address_of("192.0.2.1"), Port{0}}.to_string()), "icmp 192.0.2.1");
}

}  // namespace
}  // namespace namewall
