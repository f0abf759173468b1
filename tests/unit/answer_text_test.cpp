#include "policy/answer_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::vector<std::string> texts_of(std::string_view text) {
  std::vector<std::string> out;
  for (const AnswerRecord& record : parse_answer_text(text, "a.txt").records) {
    const auto* target = std::get_if<DomainName>(&record.value);
    out.push_back(record.owner.text() + " " + std::to_string(record.ttl) + " " + std::to_string(record.type()) + " " +
                  (target != nullptr ? target->text() : std::get<Address>(record.value).to_string()));
  }
  return out;
}

std::vector<std::string> errors_of(std::string_view text) {
  std::vector<std::string> out;
  for (const Diagnostic& diagnostic : parse_answer_text(text, "a.txt").diagnostics)
    out.push_back(diagnostic.to_string());
  return out;
}

TEST(AnswerText, ReadsWhatDigPrints) {
  EXPECT_THAT(texts_of("; <<>> DiG <<>>\n\n"
                       "Registry.npmjs.org.\t300\tIN\tCNAME\tcdn.example.\n"
                       "cdn.example.\t\t60\tIN\tA\t192.0.2.7\n"
                       "cdn.example. 60 IN RRSIG A 8 2 60 20260101000000 20260101000000 1 . abc=\n"),
              ElementsAre("registry.npmjs.org 300 5 cdn.example", "cdn.example 60 1 192.0.2.7"));
}

TEST(AnswerText, TakesTtlAndClassInAnyOrderOrNotAtAll) {
  EXPECT_THAT(texts_of("a.example IN 5 a 192.0.2.1\na.example AAAA 7 2001:db8::1 # why\na.example A 192.0.2.2"),
              ElementsAre("a.example 5 1 192.0.2.1", "a.example 7 28 2001:db8::1", "a.example 60 1 192.0.2.2"));
}

TEST(AnswerText, ReportsEveryMistakeWithItsPosition) {
  EXPECT_THAT(errors_of("a.example 60 A 2001:db8::1\n  b..example A 192.0.2.1\na.example\na.example A\n"
                        "a.example 99999999999 A 192.0.2.1\na.example A 192.0.2.1 192.0.2.2\na.example CNAME a/b\n"),
              ElementsAre("a.txt:1:16: error: \"2001:db8::1\" is not an IPv4 address", StartsWith("a.txt:2:3: error: "),
                          "a.txt:3:1: error: accepted: NAME [TTL] [IN] TYPE VALUE",
                          "a.txt:4:1: error: accepted: NAME [TTL] [IN] TYPE VALUE",
                          "a.txt:5:11: error: a TTL is at most 4294967295", "a.txt:6:13: error: more than one value",
                          StartsWith("a.txt:7:17: error: ")));
}

TEST(AnswerText, WasAskedForTheNamesThatNoAliasPointsTo) {
  const AnswerText text = parse_answer_text(
      "cdn.example A 192.0.2.1\na.example CNAME cdn.example\na.example CNAME b.example\nc.example A 192.0.2.2\n", "a");
  EXPECT_THAT(asked_names(text.records),
              ElementsAre(DomainName::from_normal("a.example"), DomainName::from_normal("c.example")));
}

TEST(AnswerText, BecomesTheMessageThatTheParserReads) {
  const AnswerText text = parse_answer_text(
      "a.example 300 CNAME cdn.example\ncdn.example 60 A 192.0.2.1\ncdn.example 70 AAAA 2001:db8::1\n"
      "other.example 80 A 192.0.2.2\n",
      "a");
  ASSERT_THAT(text.diagnostics, IsEmpty());
  const DomainName name = DomainName::from_normal("a.example");
  const Result<DnsAnswer> a = parse_answer(build_answer({.name = name, .type = kTypeA}, text.records));
  ASSERT_TRUE(a);
  EXPECT_EQ(a->kind, AnswerKind::kTeaches);
  EXPECT_EQ(a->question_name, name);
  EXPECT_EQ(a->answer_count, 3);
  ASSERT_EQ(a->addresses.size(), 1u);
  EXPECT_EQ(a->addresses[0].address.to_string(), "192.0.2.1");
  EXPECT_EQ(a->addresses[0].ttl, 60u);
  const Result<DnsAnswer> aaaa = parse_answer(build_answer({.name = name, .type = kTypeAaaa}, text.records));
  ASSERT_TRUE(aaaa);
  ASSERT_EQ(aaaa->addresses.size(), 1u);
  EXPECT_EQ(aaaa->addresses[0].address.to_string(), "2001:db8::1");
}

}  // namespace
}  // namespace namewall
