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
