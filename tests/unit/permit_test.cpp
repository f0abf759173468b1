#include "policy/permit.h"

#include <gtest/gtest.h>

#include "policy/endpoint.h"

namespace namewall {
namespace {

constexpr std::uint8_t kTcp = 6, kUdp = 17, kIcmp = 1, kSctp = 132;

Event question(std::string name, Reason reason = NW_REASON_NAME_NOT_ALLOWED) {
  Event event;
  event.hook = Hook::kQuestion;
  event.reason = reason;
  event.ip_protocol = kUdp;
  event.address = *parse_address("192.0.2.53");
  event.port = Port{53};
  event.name = std::move(name);
  return event;
}

Event connect(Reason reason, std::string_view address, std::uint16_t port, std::string name = "",
              std::uint8_t ip_protocol = kTcp) {
  Event event;
  event.hook = Hook::kConnect;
  event.reason = reason;
  event.ip_protocol = ip_protocol;
  event.address = *parse_address(address);
  event.port = Port{port};
  event.name = std::move(name);
  return event;
}

TEST(Permit, OfARefusedQuestionIsTheNameByHttps) {
  EXPECT_EQ(endpoint_that_permits(question("github.com")), "https://github.com");
}

TEST(Permit, OfAnAddressIsThatAddressAndPort) {
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_NOT_LOOKED_UP, "192.0.2.1", 443)), "https://192.0.2.1");
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_NOT_LOOKED_UP, "192.0.2.1", 22)), "tcp://192.0.2.1:22");
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_NOT_LOOKED_UP, "2001:db8::1", 53, "", kUdp)),
            "udp://[2001:db8::1]:53");
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_SPECIAL_ANSWER, "169.254.169.254", 80, "evil.example")),
            "tcp://169.254.169.254:80");
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_NOT_LOOKED_UP, "192.0.2.1", 0, "", kIcmp)), "icmp://192.0.2.1");
}

TEST(Permit, OfAnotherPortOfAKnownNameIsTheNameWithThatPort) {
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_PORT, "192.0.2.1", 22, "github.com")), "tcp://github.com:22");
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_PORT, "192.0.2.1", 443, "github.com")), "https://github.com");
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_PORT, "192.0.2.1", 443, "github.com", kUdp)),
            "udp://github.com:443");
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_PORT, "192.0.2.1", 22)), "tcp://192.0.2.1:22");
}

TEST(Permit, OfAPrivateAnswerSaysSo) {
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_PRIVATE_ANSWER, "10.1.2.3", 443, "nexus.corp.example")),
            "https://nexus.corp.example?private");
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_PRIVATE_ANSWER, "10.1.2.3", 8443, "nexus.corp.example")),
            "tcp://nexus.corp.example:8443?private");
}

TEST(Permit, IsNothingWhereNoAllowRuleHelps) {
  for (const Reason reason : {NW_REASON_NONE,
                              NW_REASON_NOT_ARMED,
                              NW_REASON_HOST_DENY,
                              NW_REASON_DENY_RULE,
                              NW_REASON_LOOPBACK,
                              NW_REASON_EXPIRED,
                              NW_REASON_DNS_OVER_TCP,
                              NW_REASON_UNTRUSTED_NETNS,
                              NW_REASON_SOCKET_PROTOCOL,
                              NW_REASON_BIND_PORT,
                              NW_REASON_INBOUND_TCP,
                              NW_REASON_NO_PROXY_IN_NETNS,
                              NW_REASON_BOUND_TO_DEVICE,
                              NW_REASON_ASKER_UNKNOWN,
                              NW_REASON_QUERIES_IN_FLIGHT,
                              NW_REASON_QUERY_RATE,
                              NW_REASON_FRESH_NAMES,
                              NW_REASON_TEACHING_FAILED,
                              NW_REASON_UPSTREAM_FAILED,
                              NW_REASON_AGENT_LOOKUP_FAILED,
                              NW_REASON_PACKET_OPTIONS,
                              NW_REASON_GRANTS_FULL,
                              NW_REASON_QUESTION_MALFORMED}) {
    EXPECT_EQ(endpoint_that_permits(connect(reason, "192.0.2.1", 443, "a.example")), std::nullopt) << code_of(reason);
  }
  EXPECT_EQ(endpoint_that_permits(connect(NW_REASON_NOT_LOOKED_UP, "192.0.2.1", 443, "", kSctp)), std::nullopt);
}

TEST(Permit, IsNothingForNamesThatAreNoRules) {
  for (const char* name : {"", "192.0.2.1", "localhost", "*", "*.example.com", "a b.example", "a.example/x",
                           "a.example:80", "a.example?private",
                           "b\xc3\xbc"
                           "cher.example",
                           "a..example", "$(reboot).example", "1"}) {
    EXPECT_EQ(endpoint_that_permits(question(name)), std::nullopt) << name;
  }
}

TEST(Permit, IsAlwaysAnEndpointThatTheLoaderReads) {
  for (const std::uint16_t port : std::vector<std::uint16_t>{1, 53, 80, 443, 65535}) {
    for (const std::uint8_t protocol : {kTcp, kUdp}) {
      const auto endpoint = endpoint_that_permits(connect(NW_REASON_PORT, "2001:db8::1", port, "a.example", protocol));
      ASSERT_TRUE(endpoint);
      const Result<Endpoint> parsed = parse_endpoint(*endpoint, EndpointUse::kAllow);
      ASSERT_TRUE(parsed);
      const Protocol wanted = protocol == kTcp ? Protocol::kTcp : Protocol::kUdp;
      EXPECT_EQ(parsed->ports, PortSet({{wanted, Port{port}, Port{port}}}));
    }
  }
}

}  // namespace
}  // namespace namewall
