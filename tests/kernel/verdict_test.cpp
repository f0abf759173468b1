// Verdicts of address rules, time, UDP and audit mode.
#include <thread>

#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

class Verdicts : public WorkloadTest {};

TEST_F(Verdicts, AddressRulesNeedNoLookup) {
  arm(make_policy({"tcp://192.0.2.1:443", "tcp://198.51.100.0/25:80", "tcp://[2001:db8:1::]/48:22"}));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 443), 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 80), ECONNREFUSED);
  EXPECT_EQ(tcp_inside(ip("198.51.100.127"), 80), 0);
  EXPECT_EQ(tcp_inside(ip("198.51.100.128"), 80), ECONNREFUSED);
  EXPECT_EQ(tcp_inside(ip("2001:db8:1::5"), 22), 0);
  EXPECT_EQ(tcp_inside(ip("2001:db8:2::5"), 22), ECONNREFUSED);
}

TEST_F(Verdicts, ShortIpv6PrefixDoesNotCoverIpv4) {
  arm(make_policy({"tcp://[::]/16:443"}));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED);
}

TEST_F(Verdicts, HostDenyComesFirst) {
  HostPolicy host;
  host.deny = make_policy({}, {"*://192.0.2.0/24:*"}).deny;
  bpf::ArmOptions options;
  options.trusted_netns = {*bpf::netns_cookie()};
  const auto armed = enforcer_->arm(cgroup_.fd(), compile(make_policy({"tcp://192.0.2.1:443"}), host), options);
  ASSERT_TRUE(armed) << armed.error().message();
  workload_ = *armed;
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED);
  EXPECT_THAT(take_reasons(), ElementsAre("host_deny"));
}

TEST_F(Verdicts, GrantEndsWithItsTimeAndIsRemembered) {
  zone_.add("short.test", ip("192.0.2.1"), 1);
  serve_zone();
  arm(make_policy({"short.test"}));
  ASSERT_TRUE(look_up_inside("short.test").delivered());
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED);
  const auto events = take_events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].reason, NW_REASON_EXPIRED);
  EXPECT_EQ(events[0].name, "short.test");
  EXPECT_GT(events[0].expired_for_ns, 0);
  EXPECT_LT(events[0].expired_for_ns, 2'000'000'000);
  ASSERT_TRUE(look_up_inside("short.test").delivered());
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0) << "a new answer opens it again";
}

TEST_F(Verdicts, DeadlineIsTtlWithinItsBoundsPlusGrace) {
  zone_.add("low.test", ip("192.0.2.1"), 0);
  zone_.add("mid.test", ip("192.0.2.2"), 100);
  zone_.add("high.test", ip("192.0.2.3"), 1'000'000);
  serve_zone();
  auto policy = make_policy({"*.test"});
  policy.dns.min_ttl = std::chrono::seconds(7);
  policy.dns.max_ttl = std::chrono::seconds(300);
  policy.dns.grace = std::chrono::seconds(20);
  arm(policy);
  for (const char* name : {"low.test", "mid.test", "high.test"}) ASSERT_TRUE(look_up_inside(name).delivered());
  const auto now = boot_now();
  std::map<std::string, double> seconds;
  for (const auto& record : grants()) {
    seconds[record.grant.name.text()] = std::chrono::duration<double>(record.grant.deadline - now).count();
  }
  EXPECT_NEAR(seconds["low.test"], 27, 1);
  EXPECT_NEAR(seconds["mid.test"], 120, 1);
  EXPECT_NEAR(seconds["high.test"], 320, 1);
}

TEST_F(Verdicts, RetainWorkloadKeepsGrantsForever) {
  zone_.add("short.test", ip("192.0.2.1"), 1);
  serve_zone();
  auto policy = make_policy({"short.test"});
  policy.dns.retain = Retain::kWorkload;
  arm(policy);
  ASSERT_TRUE(look_up_inside("short.test").delivered());
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0);
}

TEST_F(Verdicts, RefreshExtendsAndNeverShortens) {
  zone_.add("a.test", ip("192.0.2.1"), 100);
  serve_zone();
  arm(make_policy({"a.test"}));
  ASSERT_TRUE(look_up_inside("a.test").delivered());
  ASSERT_EQ(grants().size(), 1u);
  const auto first = grants()[0].grant.deadline;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ASSERT_TRUE(look_up_inside("a.test").delivered());
  ASSERT_EQ(grants().size(), 1u) << "a refresh needs no second slot";
  EXPECT_GT(grants()[0].grant.deadline, first);
  EXPECT_EQ(counter("learned"), 1u);
  EXPECT_EQ(counter("refreshed"), 1u);
}

TEST_F(Verdicts, UdpConnectToAnotherPortPassesButSendingIsJudged) {
  arm(make_policy({"tcp://192.0.2.1:443"}));
  struct Outcomes {
    int connect, send, connect_unlisted;
  };
  const auto outcomes = in_cgroup(cgroup_, [] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    const SocketAddress to(ip("192.0.2.1"), 443);
    Outcomes result{};
    result.connect = connect(client.get(), to.get(), to.length) == 0 ? 0 : errno;
    result.send = send(client.get(), "x", 1, 0) == 1 ? 0 : errno;
    result.connect_unlisted = udp_connect(ip("192.0.2.2"), 443);
    return result;
  });
  EXPECT_EQ(outcomes.connect, 0) << "glibc sorts addresses by a UDP connect";
  EXPECT_NE(outcomes.send, 0);
  EXPECT_EQ(outcomes.connect_unlisted, ECONNREFUSED);
  EXPECT_EQ(far_->datagrams(), 0u);
}

TEST_F(Verdicts, UdpSocketAllowedOnItsPortSends) {
  arm(make_policy({"udp://192.0.2.1:443", "udp://[2001:db8::1]:443"}));
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_connect_and_send(ip("192.0.2.1"), 443); }), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_connect_and_send(ip("2001:db8::1"), 443); }), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_send_to(ip("192.0.2.1"), 443); }), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_send_to(ip("192.0.2.1"), 123); }), ECONNREFUSED);
}

TEST_F(Verdicts, ConnectToTheResolverOverTcpIsRefusedWhereNoProxyIs) {
  arm(make_policy({"example.com"}));
  EXPECT_EQ(in_cgroup(cgroup_, [] { return tcp_connect(resolver().address(), 53); }), ECONNREFUSED);
  EXPECT_THAT(take_reasons(), ElementsAre("no_proxy_in_netns"));
}

TEST_F(Verdicts, OtherPort53IsAnOrdinaryEndpointAndTeachesNothing) {
  std::unique_ptr<DnsServer> rogue;
  Zone zone;
  zone.add("example.com", ip("203.0.113.66"));
  network_.in_far(
      [&] { rogue = std::make_unique<DnsServer>(std::vector{SocketAddress(ip("10.77.0.1"), 5353)}, zone.answerer()); });
  arm(make_policy({"example.com", "udp://10.77.0.1:5353"}));
  EXPECT_TRUE(
      in_cgroup(cgroup_, [] { return look_up(SocketAddress(ip("10.77.0.1"), 5353), "example.com"); }).delivered());
  EXPECT_THAT(granted_addresses(), IsEmpty());
  EXPECT_EQ(tcp_inside(ip("203.0.113.66")), ECONNREFUSED);
}

TEST_F(Verdicts, AuditLetsEverythingPassAndTellsWhatItWouldRefuse) {
  zone_.add("unlisted.test", ip("192.0.2.1"));
  serve_zone();
  auto policy = make_policy({"example.com"});
  policy.mode = Mode::kAudit;
  arm(policy);
  EXPECT_EQ(tcp_inside(ip("192.0.2.7")), 0);
  EXPECT_TRUE(look_up_inside("unlisted.test").delivered());
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0);
  const auto events = take_events();
  ASSERT_GE(events.size(), 2u);
  for (const auto& event : events) EXPECT_TRUE(event.audit);
  EXPECT_EQ(events[0].reason, NW_REASON_NOT_LOOKED_UP);
  EXPECT_EQ(events[1].reason, NW_REASON_NAME_NOT_ALLOWED);
  EXPECT_GT(counter("allowed_by_audit"), 0u);
}

TEST_F(Verdicts, PingIsAskedForLikeAPort) {
  arm(make_policy({"icmp://192.0.2.1"}));
  const auto ping = [&](const char* address) {
    return in_cgroup(cgroup_, [&] {
      const auto client = make_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
      const unsigned char echo[8] = {8, 0, 0, 0, 0, 1, 0, 1};
      const SocketAddress to(ip(address), 0);
      if (sendto(client.get(), echo, sizeof(echo), 0, to.get(), to.length) < 0) return errno;
      return receive(client.get(), milliseconds(500)) ? 0 : ETIMEDOUT;
    });
  };
  EXPECT_EQ(ping("192.0.2.1"), 0);
  EXPECT_NE(ping("192.0.2.2"), 0);
}

}  // namespace
}  // namespace namewall::kernel_tests
