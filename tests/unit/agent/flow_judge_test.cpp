#include "agent/host/flow_judge.h"

#include <gmock/gmock.h>

#include "tests/unit/agent/policy_image_builder.h"

namespace namewall::agent {
namespace {

Address ip(const std::string& text) {
  const auto address = parse_address(text);
  if (!address) ADD_FAILURE() << text;
  return address.value_or(Address());
}

Flow flow(Flow::Kind kind, const std::string& remote, std::uint16_t port, const std::string& local = "10.0.0.5",
          std::uint16_t local_port = 40000) {
  Flow out;
  out.kind = kind;
  out.is_connected = true;
  out.local = ip(local);
  out.local_port = Port{local_port};
  out.remote = ip(remote);
  out.remote_port = Port{port};
  return out;
}
Flow tcp(const std::string& remote, std::uint16_t port) { return flow(Flow::Kind::kTcp, remote, port); }
Flow udp(const std::string& remote, std::uint16_t port) { return flow(Flow::Kind::kUdp, remote, port); }
Flow listener(const std::string& local, std::uint16_t port) {
  Flow out = flow(Flow::Kind::kTcp, "0.0.0.0", 0, local, port);
  out.is_connected = false;
  return out;
}

GrantRecord grant(const PolicyImage& image, const std::string& address, std::uint16_t port,
                  Reason note = NW_REASON_NONE) {
  const PortMask ports = port == 0 ? 0 : image.mask_of(Protocol::kTcp, Port{port});
  return {{DomainName::from_normal("name.example"), ip(address), BootTime{}, 0, note}, ports, 0, false};
}

// "keep", "unattributed", or the reason of the end.
std::string verdict(const PolicyImage& image, const std::vector<Flow>& flows,
                    const std::vector<GrantRecord>& grants = {}, bool cut = false,
                    const std::vector<ProxyPlace>& places = {}) {
  const auto judged = judge_flows(image, grants, flows, cut, places);
  EXPECT_EQ(judged.size(), flows.size());
  switch (judged.at(0).verdict) {
    case FlowVerdict::kKeep:
      return "keep";
    case FlowVerdict::kUnattributed:
      return "unattributed";
    case FlowVerdict::kDestroy:
      return std::string(code_of(judged[0].reason));
  }
  return "";
}

TEST(FlowJudge, KeepsWhatAnAddressRuleAllows) {
  const auto image = image_of({"tcp://192.0.2.0/24:443"});
  EXPECT_EQ(verdict(image, {tcp("192.0.2.7", 443)}), "keep");
  EXPECT_EQ(verdict(image, {udp("192.0.2.7", 443)}), "unattributed");
}

TEST(FlowJudge, DenyRulesEndAFlowThatAnythingElseAllows) {
  const auto image = image_of({"tcp://192.0.2.0/24:443"}, {"192.0.2.7"});
  EXPECT_EQ(verdict(image, {tcp("192.0.2.7", 443)}, {grant(image, "192.0.2.7", 443)}), "deny_rule");
}

TEST(FlowJudge, ANameThatStillHasThePortKeepsTheFlowAfterItsGrantHasExpired) {
  const auto image = image_of({"name.example"});
  EXPECT_EQ(verdict(image, {tcp("203.0.113.9", 443)}, {grant(image, "203.0.113.9", 443)}), "keep");
}

TEST(FlowJudge, OneNameOfSeveralIsEnough) {
  const auto image = image_of({"name.example"});
  EXPECT_EQ(
      verdict(image, {tcp("203.0.113.9", 443)}, {grant(image, "203.0.113.9", 0), grant(image, "203.0.113.9", 443)}),
      "keep");
}

TEST(FlowJudge, ANameThatThePolicyAllowsNoMoreEndsTheFlow) {
  const auto image = image_of({"name.example"});
  EXPECT_EQ(verdict(image, {tcp("203.0.113.9", 443)}, {grant(image, "203.0.113.9", 0)}), "not_allowed_now");
  EXPECT_EQ(verdict(image, {tcp("203.0.113.9", 8443)}, {grant(image, "203.0.113.9", 443)}), "not_allowed_now");
}

TEST(FlowJudge, ANoteNeverKeepsAFlow) {
  const auto image = image_of({"name.example"});
  EXPECT_EQ(verdict(image, {tcp("10.1.1.1", 443)}, {grant(image, "10.1.1.1", 443, NW_REASON_PRIVATE_ANSWER)}),
            "not_allowed_now");
}

TEST(FlowJudge, AFlowThatNothingRemembersIsUnattributedAndCutOnlyOnDemand) {
  const auto image = image_of({"name.example"});
  EXPECT_EQ(verdict(image, {tcp("203.0.113.9", 443)}), "unattributed");
  EXPECT_EQ(verdict(image, {tcp("203.0.113.9", 443)}, {}, true), "not_looked_up");
}

TEST(FlowJudge, TrustedResolversAreReachedByUdpAlone) {
  const auto image = image_of({});
  EXPECT_EQ(verdict(image, {udp("127.0.0.53", 53)}), "keep");
  EXPECT_EQ(verdict(image, {tcp("127.0.0.53", 53)}), "no_proxy_in_netns");
}

TEST(FlowJudge, AUdpFlowToTheResolverItselfEndsWhereTheProxyHasToReadIt) {
  auto image = image_of({});
  image.learn = Learn::kProxy;
  EXPECT_EQ(verdict(image, {udp("127.0.0.53", 53)}), "no_proxy_in_netns");
}

TEST(FlowJudge, FlowsToTheProxyAreThoseToItsResolver) {
  const auto image = image_of({});
  const auto place = [](const char* resolver, std::uint16_t port) {
    return ProxyPlace{1, {ip(resolver), Port{53}}, Protocol::kTcp, Port{port}};
  };
  const std::vector places = {place("127.0.0.53", 4001), place("192.0.2.53", 4002), place("2001:db8::53", 4003)};
  EXPECT_EQ(verdict(image, {tcp("127.0.0.1", 4001)}, {}, false, places), "keep");
  EXPECT_EQ(verdict(image, {tcp("127.0.0.1", 4002)}, {}, false, places), "untrusted_resolver");
  EXPECT_EQ(verdict(image, {tcp("::1", 4003)}, {}, false, places), "untrusted_resolver");
  EXPECT_EQ(verdict(image, {tcp("::1", 4001)}, {}, false, places), "loopback") << "another family, no place";
  EXPECT_EQ(verdict(image, {udp("127.0.0.1", 4001)}, {}, false, places), "loopback") << "another protocol, no place";
}

TEST(FlowJudge, OwnLoopbackNeedsTheOtherEndAmongTheFlows) {
  const auto image = image_of({});
  const Flow client = flow(Flow::Kind::kTcp, "127.0.0.1", 8080, "127.0.0.1", 40000);
  const Flow server = flow(Flow::Kind::kTcp, "127.0.0.1", 40000, "127.0.0.1", 8080);
  EXPECT_EQ(verdict(image, {client, server}), "keep");
  EXPECT_EQ(verdict(image, {server, client}), "keep");
  EXPECT_EQ(verdict(image, {client, listener("0.0.0.0", 8080)}), "keep");
  EXPECT_EQ(verdict(image, {client}), "loopback");
  EXPECT_EQ(verdict(image, {client, listener("127.0.0.2", 8080)}), "loopback");
}

TEST(FlowJudge, LoopbackFollowsThePolicy) {
  const Flow client = flow(Flow::Kind::kTcp, "127.0.0.1", 8080, "127.0.0.1", 40000);
  const auto set = [](Loopback loopback) { return [=](Policy& policy) { policy.loopback = loopback; }; };
  EXPECT_EQ(verdict(image_of({}, {}, set(Loopback::kAny)), {client}), "keep");
  EXPECT_EQ(verdict(image_of({}, {}, set(Loopback::kNone)), {client, listener("0.0.0.0", 8080)}), "loopback");
  EXPECT_EQ(verdict(image_of({"tcp://127.0.0.1:8080"}, {}, set(Loopback::kNone)), {client}), "keep");
}

TEST(FlowJudge, InboundConnectionsFollowListen) {
  const Flow inbound = flow(Flow::Kind::kTcp, "198.51.100.3", 51000, "10.0.0.5", 8080);
  const auto open = image_of({}, {}, [](Policy& policy) {
    policy.listen = PortSet({{Protocol::kTcp, Port{8080}, Port{8080}}});
  });
  EXPECT_EQ(verdict(open, {inbound, listener("0.0.0.0", 8080)}), "keep");
  EXPECT_EQ(verdict(image_of({"tcp://198.51.100.3:*"}), {inbound, listener("0.0.0.0", 8080)}), "inbound_tcp");
}

TEST(FlowJudge, WhatWasAcceptedOnLoopbackEndsWhereTheHostLetsNothingListen) {
  auto image = image_of({"tcp://127.0.0.0/8:*"});
  image.loopback = Loopback::kNone;
  const std::vector<Flow> flows = {flow(Flow::Kind::kTcp, "127.0.0.1", 40001, "127.0.0.1", 8080),
                                   listener("127.0.0.1", 8080)};
  EXPECT_EQ(verdict(image, flows), "keep");
  image.may_listen = false;
  EXPECT_EQ(verdict(image, flows), "inbound_tcp");
  EXPECT_EQ(verdict(image, {flow(Flow::Kind::kTcp, "127.0.0.1", 8080, "127.0.0.1", 40001)}), "keep") << "its own";
}

TEST(FlowJudge, RawSocketsAlwaysEndAndUnconnectedOnesNever) {
  const auto image = image_of({"*://*:*"});
  Flow raw;
  raw.kind = Flow::Kind::kRaw;
  EXPECT_EQ(verdict(image, {raw}), "socket_protocol");
  EXPECT_EQ(verdict(image_of({}), {listener("0.0.0.0", 22)}), "keep");
}

TEST(FlowJudge, AuditModeEndsNothing) {
  const auto image = image_of({}, {"192.0.2.7"}, [](Policy& policy) { policy.mode = Mode::kAudit; });
  EXPECT_EQ(verdict(image, {tcp("192.0.2.7", 443)}, {}, true), "keep");
}

TEST(FlowText, NamesBothEnds) {
  EXPECT_EQ(tcp("203.0.113.9", 443).to_string(), "tcp 10.0.0.5:40000 -> 203.0.113.9:443");
  EXPECT_EQ(flow(Flow::Kind::kUdp, "2001:db8::1", 443, "2001:db8::2").to_string(),
            "udp [2001:db8::2]:40000 -> [2001:db8::1]:443");
  EXPECT_EQ(listener("0.0.0.0", 22).to_string(), "tcp 0.0.0.0:22 -> *");
}

}  // namespace
}  // namespace namewall::agent
