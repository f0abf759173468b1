// What an honest answer teaches: by name, pattern, port, family and alias.
#include <algorithm>
#include <random>

#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

class Learning : public WorkloadTest {
 protected:
  // Looks the name up and connects to `address` from the same process.
  struct Visit {
    LookupOutcome lookup;
    int connect = -1;
  };
  Visit visit(const std::string& name, const std::string& address, std::uint16_t port = 443) {
    const Address to = ip(address);
    return in_cgroup(cgroup_, [&] {
      Visit outcome;
      outcome.lookup = look_up(resolver(), name, address_type(to));
      outcome.connect = tcp_connect(to, port);
      return outcome;
    });
  }
};

TEST_F(Learning, AddressOfAnAllowedNameOpensAfterItsLookup) {
  zone_.add("example.com", ip("192.0.2.1"));
  serve_zone();
  arm(make_policy({"example.com"}));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED);
  const auto outcome = visit("example.com", "192.0.2.1");
  EXPECT_TRUE(outcome.lookup.delivered());
  EXPECT_EQ(outcome.connect, 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), ECONNREFUSED);
  EXPECT_THAT(granted_addresses(), ElementsAre("192.0.2.1"));
}

TEST_F(Learning, Ipv6AddressOpensAfterItsLookup) {
  zone_.add("example.com", ip("2001:db8::1"));
  serve_zone();
  arm(make_policy({"example.com"}));
  EXPECT_EQ(tcp_inside(ip("2001:db8::1")), ECONNREFUSED);
  EXPECT_EQ(visit("example.com", "2001:db8::1").connect, 0);
}

TEST_F(Learning, EveryTrustedResolverTeaches) {
  zone_.add("four.test", ip("192.0.2.4"));
  zone_.add("six.test", ip("192.0.2.6"));
  serve_zone();
  arm(make_policy({"*.test"}));
  EXPECT_TRUE(in_cgroup(cgroup_, [] { return look_up(far_resolver(), "four.test"); }).delivered());
  EXPECT_TRUE(in_cgroup(cgroup_, [] { return look_up(far_resolver6(), "six.test"); }).delivered());
  EXPECT_THAT(granted_addresses(), ElementsAre("192.0.2.4", "192.0.2.6"));
}

TEST_F(Learning, UnconnectedSocketsLearnToo) {
  zone_.add("example.com", ip("192.0.2.1"));
  serve_zone();
  arm(make_policy({"example.com"}));
  const bool answered = in_cgroup(cgroup_, [] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    const auto question = make_question(77, "example.com", 1);
    const auto to = resolver();
    if (sendto(client.get(), question.data(), question.size(), 0, to.get(), to.length) < 0) return false;
    return receive(client.get(), milliseconds(500)).has_value();
  });
  EXPECT_TRUE(answered);
  EXPECT_THAT(granted_addresses(), ElementsAre("192.0.2.1"));
}

TEST_F(Learning, UnlistedNameNeverLeaves) {
  zone_.add("evil.test", ip("203.0.113.66"));
  serve_zone();
  arm(make_policy({"example.com"}));
  const auto outcome = visit("evil.test", "203.0.113.66");
  EXPECT_EQ(outcome.lookup.send_error, EPERM);
  EXPECT_EQ(outcome.connect, ECONNREFUSED);
  EXPECT_TRUE(dns_->questions().empty());
  const auto events = take_events();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0].reason, NW_REASON_NAME_NOT_ALLOWED);
  EXPECT_EQ(events[0].name, "evil.test");
  EXPECT_EQ(events[0].question_type, 1);
  EXPECT_FALSE(events[0].packet.empty());
}

TEST_F(Learning, PatternsDecideByDepthAndSpelling) {
  struct Case {
    const char* name;
    bool allowed;
  };
  const Case cases[] = {
      {"one.example.com", true},
      {"example.com", false},
      {"two.one.example.com", false},
      {"a.deep.test", true},
      {"a.b.c.deep.test", true},
      {"deep.test", false},
      {"x.s3.eu.amazonaws.test", true},
      {"x.s3.amazonaws.test", false},
      {"x.y.s3.eu.amazonaws.test", false},
      {"api-1.glob.test", true},
      {"api-.glob.test", true},
      {"api.glob.test", false},
      {"exact.org", true},
      {"sub.exact.org", false},
      {"notexact.org", false},
      {"EXACT.org", true},
      {"bexact.org", false},
      {"tracker.deep.test", false},
      {"xn--bcher-kva.test", true},
  };
  arm(make_policy(
      {"*.example.com", "**.deep.test", "*.s3.*.amazonaws.test", "api-*.glob.test", "exact.org", "b\u00fccher.test"},
      {"tracker.deep.test"}));
  for (const auto& c : cases) {
    const auto outcome = in_cgroup(cgroup_, [&] { return look_up(resolver(), c.name, 1, milliseconds(200)); });
    EXPECT_EQ(outcome.send_error, c.allowed ? 0 : EPERM) << c.name;
    EXPECT_EQ(outcome.answered, c.allowed) << c.name;
  }
}

TEST_F(Learning, PortsOfTheRuleAreTheOnlyOnes) {
  zone_.add("git.test", ip("192.0.2.22"));
  serve_zone();
  arm(make_policy({"tcp://git.test:22,443"}));
  EXPECT_EQ(visit("git.test", "192.0.2.22", 22).connect, 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.22"), 443), 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.22"), 80), ECONNREFUSED);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_send_to(ip("192.0.2.22"), 443); }), ECONNREFUSED);
  const auto events = take_events();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0].reason, NW_REASON_PORT);
  EXPECT_EQ(events[0].name, "git.test");
  EXPECT_EQ(events[0].port.number, 80);
}

TEST_F(Learning, DenySubtractsPortsFromItsOwnName) {
  zone_.add("a.test", ip("192.0.2.1"));
  serve_zone();
  arm(make_policy({"tcp://a.test:80,443"}, {"tcp://a.test:80"}));
  EXPECT_EQ(visit("a.test", "192.0.2.1", 443).connect, 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 80), ECONNREFUSED);
}

TEST_F(Learning, DeniedAddressStaysClosedWhateverTheAnswerSays) {
  zone_.add("a.test", ip("192.0.2.1"));
  serve_zone();
  arm(make_policy({"a.test"}, {"*://192.0.2.0/24:*"}));
  EXPECT_EQ(visit("a.test", "192.0.2.1").connect, ECONNREFUSED);
  EXPECT_THAT(take_reasons(), Contains("deny_rule"));
}

TEST_F(Learning, AliasesCountInAnyOrder) {
  arm(make_policy({"start.test"}));
  std::vector<ZoneRecord> records = {{"start.test", 60, "mid.other", {}},
                                     {"mid.other", 60, "end.elsewhere", {}},
                                     {"end.elsewhere", 60, "", ip("192.0.2.9")},
                                     {"end.elsewhere", 60, "", ip("192.0.2.10")}};
  std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.owner < b.owner; });
  int orders = 0;
  for (int order = 0; order < 6; ++order) {
    std::shuffle(records.begin(), records.end(), std::mt19937(static_cast<unsigned>(order)));
    dns_->answer_with([&](const ReceivedQuestion& q) { return std::vector<Reply>{{make_answer(q.bytes, records)}}; });
    EXPECT_TRUE(look_up_inside("start.test").delivered());
    EXPECT_THAT(granted_addresses(), ElementsAre("192.0.2.10", "192.0.2.9")) << "order " << order;
    ++orders;
    replace(make_policy({}));  // forgets nothing of the addresses but their permission
    replace(make_policy({"start.test"}));
  }
  EXPECT_EQ(orders, 6);
}

TEST_F(Learning, AddressOfANameOffTheChainTeachesNothing) {
  dns_->answer_with([](const ReceivedQuestion& q) {
    return std::vector<Reply>{{make_answer(q.bytes, {{"start.test", 60, "", ip("192.0.2.1")},
                                                     {"bank.test", 60, "", ip("192.0.2.66")},
                                                     {"x.start.test", 60, "", ip("192.0.2.67")}})}};
  });
  arm(make_policy({"start.test", "bank.test"}));
  EXPECT_TRUE(look_up_inside("start.test").delivered());
  EXPECT_THAT(granted_addresses(), ElementsAre("192.0.2.1"));
  EXPECT_EQ(counter("chain_misses"), 2u);
}

TEST_F(Learning, AnswersOfManyAddressesTeachAllOfThem) {
  for (const int count : {32, 200}) {
    const std::string name = "many" + std::to_string(count) + ".test";
    for (int i = 0; i < count; ++i) {
      zone_.add(name, ip((count == 32 ? "192.0.2." : "198.51.100.") + std::to_string(i + 1)));
    }
  }
  serve_zone();
  arm(make_policy({"*.test"}));
  for (const int count : {32, 200}) {
    EXPECT_TRUE(look_up_inside("many" + std::to_string(count) + ".test").delivered());
    EXPECT_EQ(granted_addresses().size(), static_cast<std::size_t>(count == 32 ? 32 : 232));
  }
  EXPECT_EQ(tcp_inside(ip("198.51.100.200")), 0);
  EXPECT_EQ(tcp_inside(ip("198.51.100.201")), ECONNREFUSED);
}

TEST_F(Learning, TwoNamesOnOneAddressOpenThePortsOfBoth) {
  zone_.add("web.test", ip("192.0.2.1"), 1);
  zone_.add("git.test", ip("192.0.2.1"), 60);
  serve_zone();
  arm(make_policy({"tcp://web.test:443", "tcp://git.test:22"}));
  EXPECT_EQ(visit("git.test", "192.0.2.1", 22).connect, 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 443), ECONNREFUSED);
  EXPECT_EQ(visit("web.test", "192.0.2.1", 443).connect, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 443), ECONNREFUSED) << "the shorter of the two times is over";
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 22), 0);
}

TEST_F(Learning, WhatOneWorkloadLooksUpOpensNothingForAnother) {
  zone_.add("example.com", ip("192.0.2.1"));
  serve_zone();
  arm(make_policy({"example.com"}));
  const ThrowawayCgroup neighbour;
  arm_other(neighbour, make_policy({"example.com"}));
  EXPECT_EQ(visit("example.com", "192.0.2.1").connect, 0);
  EXPECT_EQ(in_cgroup(neighbour, [] { return tcp_connect(ip("192.0.2.1"), 443); }), ECONNREFUSED);
}

TEST_F(Learning, PrivateAnswersOpenOnlyForNamesThatMayHaveThem) {
  zone_.add("public.test", ip("10.20.0.1"));
  zone_.add("corp.test", ip("10.20.0.2"));
  serve_zone();
  arm(make_policy({"public.test", "https://corp.test?private"}));
  const auto refused = visit("public.test", "10.20.0.1");
  EXPECT_TRUE(refused.lookup.delivered()) << "an answer that teaches nothing by policy is delivered";
  EXPECT_EQ(refused.connect, ECONNREFUSED);
  const auto events = take_events();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().reason, NW_REASON_PRIVATE_ANSWER);
  EXPECT_EQ(events.back().name, "public.test");
  EXPECT_EQ(visit("corp.test", "10.20.0.2").connect, 0);
}

TEST_F(Learning, ReboundPrivateNamesNeverOpenTheHostOrItsMetadata) {
  for (const char* address : {"169.254.169.254", "127.0.0.1", "10.77.0.2"}) zone_.add("corp.test", ip(address));
  for (const char* address : {"::1", "fe80::1", "fd77::2", "::ffff:10.20.0.1", "64:ff9b::a9fe:a9fe"}) {
    if (std::string(address) != "::ffff:10.20.0.1") zone_.add("corp.test", ip(address));
  }
  serve_zone();
  auto policy = make_policy({"*://corp.test:*?private"});
  policy.loopback = Loopback::kNone;
  arm(policy);
  EXPECT_TRUE(look_up_inside("corp.test", 1).delivered());
  EXPECT_TRUE(look_up_inside("corp.test", 28).delivered());
  EXPECT_THAT(granted_addresses(), IsEmpty());
  EXPECT_EQ(tcp_inside(ip("169.254.169.254")), ECONNREFUSED);
  EXPECT_THAT(take_reasons(), Contains("special_answer"));
}

TEST_F(Learning, NegativeAnswersAreDeliveredAndTeachNothing) {
  for (const std::uint16_t rcode : {kRcodeNxdomain, kRcodeRefused, std::uint16_t{2}}) {
    dns_->answer_with([rcode](const ReceivedQuestion& q) {
      return std::vector<Reply>{{make_answer(q.bytes, {}, static_cast<std::uint16_t>(kFlagsAnswer | rcode))}};
    });
    if (rcode == kRcodeNxdomain) arm(make_policy({"example.com"}));
    EXPECT_TRUE(look_up_inside("example.com").delivered()) << rcode;
  }
  EXPECT_THAT(granted_addresses(), IsEmpty());
}

TEST_F(Learning, OtherTypesMayBeAskedForAllowedNamesOnly) {
  arm(make_policy({"example.com"}));
  for (const std::uint16_t type : std::initializer_list<std::uint16_t>{2, 15, 16, 33, 65, 255}) {
    EXPECT_TRUE(look_up_inside("example.com", type).delivered()) << type;
    EXPECT_EQ(look_up_inside("secret.evil.test", type).send_error, EPERM) << type;
  }
}

}  // namespace
}  // namespace namewall::kernel_tests
