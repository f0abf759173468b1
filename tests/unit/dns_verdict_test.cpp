#include "policy/dns_verdict.h"

#include <gtest/gtest.h>

#include "tests/support/dns_builder.h"
#include "tests/support/random_policy.h"

namespace namewall {
namespace {

using namewall::testing::address_of;
using namewall::testing::AnswerBuilder;
using namewall::testing::Bytes;
using namewall::testing::name_of;
using namewall::testing::rule_of;
using namewall::testing::service_data;

BootTime at(int seconds) { return {std::chrono::seconds(seconds)}; }

Policy policy_of(const std::vector<std::string>& allow) {
  Policy policy;
  for (const std::string& text : allow) policy.allow.push_back(rule_of(text, EndpointUse::kAllow));
  return policy;
}

PolicyImage compile(const Policy& policy, const std::vector<DomainName>& search = {}) {
  return *compile_policy(policy, {}, {.nameservers = {}, .search = search, .ndots = 1});
}

Bytes question(std::string_view name) { return build_question({.id = 7, .name = name_of(name), .type = kTypeA}); }

std::string describe(const QuestionVerdict& verdict) {
  return std::string(verdict.may_ask ? "asked " : "refused ") + std::string(code_of(verdict.reason));
}

// "delivered" or "withheld", the reason, then each grant with its ports and seconds of life, each note with its reason.
std::string describe(const PolicyImage& image, const Teaching& teaching, BootTime now) {
  std::string text = teaching.deliver ? "delivered " : "withheld ";
  text += code_of(teaching.reason);
  for (const Grant& grant : teaching.grants) {
    text += "; " + grant.address.to_string() + " ";
    if (grant.note != NW_REASON_NONE) {
      EXPECT_EQ(grant.deadline, now);
      EXPECT_EQ(grant.ports, 0u);
      text += code_of(grant.note);
      continue;
    }
    const auto life = std::chrono::duration_cast<std::chrono::seconds>(grant.deadline - now);
    text += image.ports_of(grant.ports).to_string() + " " +
            (grant.deadline == kNever ? std::string("forever") : std::to_string(life.count()) + " s");
  }
  return text;
}

std::string teach(const Policy& policy, const Bytes& message, const std::vector<Address>& own = {}) {
  const PolicyImage image = compile(policy);
  return describe(image, judge_answer(image, message, own, at(1000)), at(1000));
}

TEST(DnsVerdict, AsksOnlyForNamesThatARuleNames) {
  const PolicyImage image = compile(policy_of({"*.example.com"}), {name_of("corp.test")});
  EXPECT_EQ(describe(judge_question(image, question("www.example.com"))), "asked none");
  EXPECT_EQ(describe(judge_question(image, question("www.example.com.corp.test"))), "asked none");
  EXPECT_EQ(describe(judge_question(image, question("example.com"))), "refused name_not_allowed");
  EXPECT_EQ(describe(judge_question(image, Bytes{1, 2, 3})), "refused question_malformed");
}

TEST(DnsVerdict, AuditAsksEverythingAndSaysWhatItWouldRefuse) {
  Policy policy = policy_of({});
  policy.mode = Mode::kAudit;
  const PolicyImage image = compile(policy);
  EXPECT_EQ(describe(judge_question(image, question("www.example.com"))), "asked name_not_allowed");
  EXPECT_EQ(describe(judge_question(image, Bytes{1, 2, 3})), "asked question_malformed");
}

constexpr std::uint8_t kHint4 = 4, kHint6 = 6;
const Bytes kHints4 = {192, 0, 2, 1, 10, 0, 0, 1};
const Bytes kHint6Bytes = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

std::string teach_by_proxy(const Policy& policy, const Bytes& message) {
  const PolicyImage image = compile(policy);
  return describe(image, judge_proxied_answer(image, message, {}, at(1000)), at(1000));
}

TEST(ProxiedAnswer, HintsTeachLikeAddressesOfTheQuestionName) {
  const Bytes answer =
      AnswerBuilder("www.example.com", kTypeHttps)
          .cname("www.example.com", 300, "svc.example.net")
          .https("svc.example.net", 30, service_data(1, "", {{kHint4, kHints4}, {kHint6, kHint6Bytes}}))
          .https("other.example.net", 30, service_data(1, "", {{kHint4, Bytes{192, 0, 2, 9}}}))
          .build();
  Policy policy = policy_of({"www.example.com"});
  EXPECT_EQ(teach_by_proxy(policy, answer),
            "delivered none; 192.0.2.1 tcp/443 120 s; 10.0.0.1 private_answer; 2001:db8::1 tcp/443 120 s");
  EXPECT_EQ(teach(policy, answer), "delivered none");  // the kernel does not read them
  policy.dns.hints = Hints::kStrip;
  EXPECT_EQ(teach_by_proxy(policy, answer), "delivered none");
}

TEST(ProxiedAnswer, AnAliasRecordLeadsOnAndItsOwnHintsDoNotCount) {
  const Bytes answer =
      AnswerBuilder("www.example.com", kTypeHttps)
          .https("www.example.com", 60, service_data(0, "pool.example.net", {{kHint4, Bytes{192, 0, 2, 7}}}))
          .https("pool.example.net", 20, service_data(1, "", {{kHint4, Bytes{192, 0, 2, 8}}}))
          .build();
  EXPECT_EQ(teach_by_proxy(policy_of({"www.example.com"}), answer), "delivered none; 192.0.2.8 tcp/443 110 s");
}

TEST(ProxiedAnswer, ServiceRecordsThatDoNotParseAreWithheld) {
  const auto answer = [](const Bytes& data) {
    return AnswerBuilder("a.example", kTypeHttps).https("a.example", 60, data).build();
  };
  EXPECT_EQ(teach_by_proxy(policy_of({"a.example"}), answer(service_data(1, "", {{kHint4, Bytes{1, 2, 3}}}))),
            "withheld answer_malformed");
  EXPECT_EQ(teach_by_proxy(policy_of({"a.example"}), answer(Bytes{0, 1})), "withheld answer_malformed");
}

TEST(ProxiedAnswer, ReadsWhatIsTooLongForTheKernel) {
  const auto answer = [](int records) {
    AnswerBuilder builder("a.example");
    for (int i = 0; i < records; ++i) {
      builder.a(
          "a.example", 60,
          "192." + std::to_string(2 + i / 65536) + "." + std::to_string(i / 256 % 256) + "." + std::to_string(i % 256));
    }
    return builder.build();
  };
  const PolicyImage image = compile(policy_of({"a.example"}));
  EXPECT_EQ(judge_proxied_answer(image, answer(4090), {}, at(0)).grants.size(), 4090u);
  EXPECT_EQ(judge_answer(image, answer(4090), {}, at(0)).reason, NW_REASON_ANSWER_TOO_LONG);
  Bytes longest = answer(4090);
  longest.resize(65535);
  EXPECT_TRUE(judge_proxied_answer(image, longest, {}, at(0)).deliver);
  longest.resize(65536);
  EXPECT_EQ(judge_proxied_answer(image, longest, {}, at(0)).reason, NW_REASON_ANSWER_TOO_LONG);
  Bytes hints;
  for (int i = 0; i < 60; ++i) hints.insert(hints.end(), {192, 0, 2, 1});
  AnswerBuilder many("a.example", kTypeHttps);
  for (int i = 0; i < 70; ++i) many.https("a.example", 60, service_data(1, "", {{kHint4, hints}}));
  EXPECT_EQ(judge_proxied_answer(image, many.build(), {}, at(0)).reason, NW_REASON_ANSWER_TOO_LONG);
}

TEST(ProxiedAnswer, SaysWhichFamilyItReplacesAndWhatThePolicySaysOfTheName) {
  Policy policy = policy_of({"a.example"});
  const auto family = [&](AnswerBuilder builder) {
    const PolicyImage image = compile(policy);
    return int{judge_proxied_answer(image, builder.build(), {}, at(0)).replaces_family};
  };
  EXPECT_EQ(family(AnswerBuilder("a.example")), 0);
  policy.dns.retain = Retain::kUntilNextAnswer;
  EXPECT_EQ(family(AnswerBuilder("a.example")), 4);  // no address: none is left
  EXPECT_EQ(family(AnswerBuilder("a.example", kTypeAaaa)), 6);
  EXPECT_EQ(family(AnswerBuilder("a.example", kTypeHttps)), 0);
  EXPECT_EQ(family(AnswerBuilder("a.example").rcode(3)), 4);
  EXPECT_EQ(family(AnswerBuilder("a.example").rcode(2)), 0);
  EXPECT_EQ(family(AnswerBuilder("a.example").truncated()), 0);
  EXPECT_EQ(family(AnswerBuilder("b.example")), 0);  // withheld
  const PolicyImage image = compile(policy);
  const Teaching teaching =
      judge_proxied_answer(image, AnswerBuilder("a.example").a("a.example", 1, "192.0.2.1").build(), {}, at(0));
  EXPECT_EQ(teaching.decision, decide_name(image, name_of("a.example")));
  EXPECT_EQ(teaching.grants.at(0).deadline, kNever);
}

TEST(ProxiedAnswer, IsJudgedAsTheKernelsWithinItsBounds) {
  std::mt19937 random(7);
  Policy policy = policy_of({"**.example", "a.test"});
  policy.dns.hints = Hints::kStrip;  // the kernel reads none
  const PolicyImage image = compile(policy);
  for (int i = 0; i < 20000; ++i) {
    Bytes answer = AnswerBuilder("a.b.example")
                       .cname("a.b.example", 100, "c.test")
                       .a("c.test", 60, "192.0.2.1")
                       .aaaa("c.test", 50, "fe80::1")
                       .a("a.b.example", 20, "10.0.0.1")
                       .with_opt()
                       .build();
    if (i != 0) answer = namewall::testing::mutate_message(answer, random);
    const Teaching by_kernel = judge_answer(image, answer, {}, at(5)),
                   by_proxy = judge_proxied_answer(image, answer, {}, at(5));
    ASSERT_EQ(by_kernel.deliver, by_proxy.deliver);
    ASSERT_EQ(by_kernel.reason, by_proxy.reason);
    ASSERT_EQ(by_kernel.grants, by_proxy.grants);
  }
}

TEST(ProxiedQuestion, SaysWhichRuleRefuses) {
  Policy policy = policy_of({"**.example.com", "tcp://*:22", "x*y.glob.test"});
  policy.name = "builder";
  for (const char* text : {"*.evil.example.com", "tracker.example.com", "**.ads.example.com",
                           "tcp://part.example.com:443", "a*.globbed.example.com"}) {
    policy.deny.push_back(rule_of(text, EndpointUse::kDeny));
  }
  policy.allow.erase(policy.allow.begin() + 1);
  const PolicyImage image = compile(policy);
  const auto text = [&](std::string_view name) { return judge_proxied_question(image, question(name)).text; };
  EXPECT_EQ(text("www.example.com"), "");
  EXPECT_EQ(text("evil.test"), "builder: no rule names evil.test");
  EXPECT_EQ(text("example.com"), "builder: no rule names example.com");
  EXPECT_EQ(text("xy.glob.test"), "");
  EXPECT_EQ(text("tracker.example.com"), "builder: deny rule tracker.example.com names tracker.example.com");
  EXPECT_EQ(text("a.evil.example.com"), "builder: deny rule *.evil.example.com names a.evil.example.com");
  EXPECT_EQ(text("a.b.ads.example.com"), "builder: deny rule **.ads.example.com names a.b.ads.example.com");
  EXPECT_EQ(text("part.example.com"), "builder: deny rule part.example.com names part.example.com");
  EXPECT_EQ(text("ab.globbed.example.com"), "builder: deny rule a*.globbed.example.com names ab.globbed.example.com");
  EXPECT_EQ(judge_proxied_question(image, Bytes{1}).verdict.reason, NW_REASON_QUESTION_MALFORMED);
  EXPECT_EQ(judge_proxied_question(image, question("tracker.example.com")).question.name,
            name_of("tracker.example.com"));
}

TEST(DnsVerdict, AnAnswerTeachesThePortsOfTheQuestionNameForTtlAndGrace) {
  EXPECT_EQ(teach(policy_of({"tcp://www.example.com:22,443", "tcp://cdn.example.net:80"}),
                  AnswerBuilder("www.example.com")
                      .cname("www.example.com", 300, "cdn.example.net")
                      .a("cdn.example.net", 60, "192.0.2.1")
                      .aaaa("cdn.example.net", 30, "2001:db8::1")
                      .build()),
            "delivered none; 192.0.2.1 tcp/22,443 150 s; 2001:db8::1 tcp/22,443 120 s");
}

TEST(DnsVerdict, TtlsAreClampedBeforeTheGraceIsAdded) {
  Policy policy = policy_of({"a.example"});
  policy.dns.min_ttl = std::chrono::seconds(10);
  policy.dns.max_ttl = std::chrono::seconds(20);
  policy.dns.grace = std::chrono::seconds(3);
  const Bytes answer = AnswerBuilder("a.example")
                           .a("a.example", 0, "192.0.2.1")
                           .a("a.example", 15, "192.0.2.2")
                           .a("a.example", 4000000000, "192.0.2.3")
                           .a("a.example", 2000000000, "192.0.2.4")
                           .build();
  EXPECT_EQ(
      teach(policy, answer),
      "delivered none; 192.0.2.1 tcp/443 13 s; 192.0.2.2 tcp/443 18 s; 192.0.2.3 tcp/443 13 s; 192.0.2.4 tcp/443 23 s");
}

TEST(DnsVerdict, RetainWorkloadGrantsForever) {
  Policy policy = policy_of({"a.example"});
  policy.dns.retain = Retain::kWorkload;
  EXPECT_EQ(teach(policy, AnswerBuilder("a.example").a("a.example", 1, "192.0.2.1").build()),
            "delivered none; 192.0.2.1 tcp/443 forever");
}

TEST(DnsVerdict, PrivateAddressesAreNotedUnlessTheRuleSaysPrivate) {
  const Bytes answer = AnswerBuilder("a.example").a("a.example", 10, "10.0.0.1").build();
  EXPECT_EQ(teach(policy_of({"a.example"}), answer), "delivered private_answer; 10.0.0.1 private_answer");
  EXPECT_EQ(teach(policy_of({"tcp://a.example:80", "tcp://a.example:443?private"}), answer),
            "delivered none; 10.0.0.1 tcp/443 100 s");
}

TEST(DnsVerdict, ForbiddenAddressesAreNotedAlsoForPrivateRules) {
  const Policy policy = policy_of({"a.example?private"});
  for (const char* address : {"127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"}) {
    EXPECT_EQ(teach(policy, AnswerBuilder("a.example").a("a.example", 10, address).build()),
              std::string("delivered special_answer; ") + address + " special_answer");
  }
  for (const char* address : {"::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"}) {
    const std::string told = teach(policy, AnswerBuilder("a.example").aaaa("a.example", 10, address).build());
    EXPECT_TRUE(told.starts_with("delivered special_answer; ")) << told;
  }
}

TEST(DnsVerdict, TheHostsOwnAddressesAreNotedInEveryForm) {
  const Policy policy = policy_of({"a.example?private"});
  const std::vector<Address> own = {address_of("198.51.100.7"), address_of("10.9.9.9"), address_of("2001:db8::7")};
  for (const char* address : {"198.51.100.7", "10.9.9.9"}) {
    EXPECT_EQ(teach(policy, AnswerBuilder("a.example").a("a.example", 10, address).build(), own),
              std::string("delivered special_answer; ") + address + " special_answer");
  }
  for (const char* address : {"2001:db8::7", "::ffff:198.51.100.7", "64:ff9b::198.51.100.7", "2002:c633:6407::1"}) {
    const std::string told = teach(policy, AnswerBuilder("a.example").aaaa("a.example", 10, address).build(), own);
    EXPECT_TRUE(told.starts_with("delivered special_answer; ")) << told;
  }
  EXPECT_EQ(teach(policy, AnswerBuilder("a.example").a("a.example", 10, "198.51.100.8").build(), own),
            "delivered none; 198.51.100.8 tcp/443 100 s");
}

TEST(DnsVerdict, NotesStandBesideGrants) {
  EXPECT_EQ(teach(policy_of({"a.example"}),
                  AnswerBuilder("a.example").a("a.example", 10, "10.0.0.1").a("a.example", 10, "192.0.2.1").build()),
            "delivered none; 10.0.0.1 private_answer; 192.0.2.1 tcp/443 100 s");
}

TEST(DnsVerdict, AnswersThatTeachNothingAreDelivered) {
  const Policy policy = policy_of({"a.example"});
  EXPECT_EQ(teach(policy, AnswerBuilder("a.example").build()), "delivered none");
  EXPECT_EQ(teach(policy, AnswerBuilder("a.example").rcode(3).build()), "delivered none");
  EXPECT_EQ(teach(policy, AnswerBuilder("a.example").truncated().a("a.example", 1, "192.0.2.1").build()),
            "delivered answer_truncated");
  EXPECT_EQ(teach(policy, AnswerBuilder("a.example").a("evil.example", 1, "192.0.2.1").build()), "delivered none");
}

TEST(DnsVerdict, SearchListFormsTeachNothing) {
  const PolicyImage image = compile(policy_of({"a.example"}), {name_of("corp.test")});
  const Bytes answer = AnswerBuilder("a.example.corp.test").a("a.example.corp.test", 9, "192.0.2.1").build();
  EXPECT_EQ(describe(image, judge_answer(image, answer, {}, at(0)), at(0)), "delivered name_not_allowed");
}

TEST(DnsVerdict, AnswersThatCannotBeReadAreWithheld) {
  const Policy policy = policy_of({"a.example"});
  Bytes broken = AnswerBuilder("a.example").a("a.example", 1, "192.0.2.1").build();
  broken.pop_back();
  EXPECT_EQ(teach(policy, broken), "withheld answer_malformed");
  Bytes longer = AnswerBuilder("a.example").build();
  longer.resize(kMaxAnswerLength + 1);
  EXPECT_EQ(teach(policy, longer), "withheld answer_too_long");
}

TEST(DnsVerdict, AnswersToNamesThatAreAllowedNoMoreAreWithheld) {
  EXPECT_EQ(teach(policy_of({"b.example"}), AnswerBuilder("a.example").a("a.example", 1, "192.0.2.1").build()),
            "withheld answer_withdrawn");
}

TEST(DnsVerdict, AuditDeliversEverythingAndRemembersUnlistedNames) {
  Policy policy = policy_of({"b.example"});
  policy.mode = Mode::kAudit;
  EXPECT_EQ(teach(policy, AnswerBuilder("a.example").a("a.example", 10, "192.0.2.1").build()),
            "delivered name_not_allowed; 192.0.2.1  100 s");
  EXPECT_EQ(teach(policy, Bytes{1, 2, 3}), "delivered answer_malformed");
}

}  // namespace
}  // namespace namewall
