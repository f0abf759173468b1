#include "policy/narrowing.h"

#include <gmock/gmock.h>

#include "tests/support/dns_builder.h"
#include "tests/support/random_policy.h"

namespace namewall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct OuterLevel {
  Policy policy;
  PolicyImage image;
};

OuterLevel outer(const std::vector<std::string>& allow, const std::vector<std::string>& deny = {},
                 const HostPolicy& host = {}) {
  OuterLevel level;
  for (const auto& text : allow) level.policy.allow.push_back(testing::rule_of(text, EndpointUse::kAllow));
  for (const auto& text : deny) level.policy.deny.push_back(testing::rule_of(text, EndpointUse::kDeny));
  level.image = *compile_policy(level.policy, host, {});
  return level;
}

std::vector<std::string> without_effect(const std::vector<std::string>& asked, const std::vector<OuterLevel>& levels) {
  std::vector<Rule> allow;
  for (const auto& text : asked) allow.push_back(testing::rule_of(text, EndpointUse::kAllow));
  std::vector<LevelAbove> above;
  for (const OuterLevel& level : levels) {
    above.push_back({"level " + std::to_string(above.size()), &level.policy, &level.image});
  }
  return find_without_effect(allow, above);
}

bool meets(const std::string& a, const std::string& b) {
  const bool one_way = may_meet(*NamePattern::parse(a), *NamePattern::parse(b));
  EXPECT_EQ(one_way, may_meet(*NamePattern::parse(b), *NamePattern::parse(a))) << a << " " << b;
  return one_way;
}

TEST(Narrowing, PatternsMeetWhereSomeNameMatchesBoth) {
  EXPECT_TRUE(meets("a.example", "a.example"));
  EXPECT_FALSE(meets("a.example", "b.example"));
  EXPECT_TRUE(meets("*.example", "a.example"));
  EXPECT_FALSE(meets("*.example", "a.b.example")) << "one label deep";
  EXPECT_FALSE(meets("*.example", "example"));
  EXPECT_TRUE(meets("**.example", "a.b.example"));
  EXPECT_FALSE(meets("**.example", "example")) << "at least one label";
  EXPECT_FALSE(meets("**.example", "a.example.org"));
  EXPECT_TRUE(meets("**.example", "**.a.example"));
  EXPECT_TRUE(meets("a*.example", "*b.example"));
  EXPECT_FALSE(meets("a*.example", "b*.example"));
  EXPECT_TRUE(meets("*.s3.*.example", "bucket.s3.eu.example"));
  EXPECT_TRUE(meets("*.s3.*.example", "**.eu.example"));
  EXPECT_FALSE(meets("*.s3.*.example", "**.sqs.*.example"));
}

TEST(Narrowing, PatternsAreComparedInBoundedTime) {
  const std::string many = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b.example";
  EXPECT_FALSE(meets(many, "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*c.example"));
}

TEST(Narrowing, SaysNothingOfWhatEveryLevelPermits) {
  EXPECT_THAT(without_effect({"a.example", "tcp://b.example:22", "192.0.2.1:80", "*.c.example"},
                             {outer({"a.example", "tcp://b.example:22,23", "192.0.2.0/24:80", "**.c.example"}),
                              outer({"*://*:*"})}),
              IsEmpty());
  EXPECT_THAT(without_effect({"a.example"}, {}), IsEmpty());
}

TEST(Narrowing, NamesTheLevelThatPermitsNothing) {
  EXPECT_THAT(without_effect({"a.example", "b.example"}, {outer({"a.example", "b.example"}), outer({"b.example"})}),
              ElementsAre("tcp://a.example:443: without effect, level 1 permits nothing of it"));
  EXPECT_THAT(without_effect({"192.0.2.1:80", "a.example"}, {outer({})}).size(), 2u);
}

TEST(Narrowing, SaysWhichPortsAreLeft) {
  EXPECT_THAT(without_effect({"tcp://a.example:22,443"}, {outer({"a.example"})}),
              ElementsAre(HasSubstr("only tcp/443 has effect, level 0")));
}

TEST(Narrowing, GoesByWhatIsDeniedAbove) {
  EXPECT_THAT(without_effect({"a.b.example"}, {outer({"**.b.example"}, {"a.b.example"})}).size(), 1u);
  EXPECT_THAT(without_effect({"192.0.2.1:80"}, {outer({"192.0.2.0/24:80"}, {"*://192.0.2.1:*"})}).size(), 1u);
  EXPECT_THAT(without_effect({"*.b.example"}, {outer({"**.b.example"}, {"*.b.example"})}).size(), 1u);
  HostPolicy host;
  host.deny.push_back(testing::rule_of("a.example", EndpointUse::kDeny));
  EXPECT_THAT(without_effect({"a.example"}, {outer({"a.example"}, {}, host)}).size(), 1u);
}

TEST(Narrowing, LooksThroughPatternsAndPrefixesThatOnlyMeet) {
  EXPECT_THAT(without_effect({"*.example"}, {outer({"a.example"})}), IsEmpty()) << "something is left";
  EXPECT_THAT(without_effect({"*.example"}, {outer({"a.b.example"})}).size(), 1u);
  EXPECT_THAT(without_effect({"192.0.2.0/24:80"}, {outer({"192.0.2.9:80"})}), IsEmpty());
  EXPECT_THAT(without_effect({"192.0.2.0/24:80"}, {outer({"198.51.100.0/24:80"})}).size(), 1u);
}

TEST(Narrowing, EndsComparingWhereItWouldTakeLong) {
  std::vector<std::string> many;
  for (int i = 0; i < 3000; ++i) many.push_back("n" + std::to_string(i) + ".example");
  std::vector<std::string> asked;
  for (int i = 0; i < 500; ++i) asked.push_back("*.d" + std::to_string(i) + ".test");
  const auto sentences = without_effect(asked, {outer(many)});
  ASSERT_FALSE(sentences.empty());
  EXPECT_LE(sentences.size(), kMaxNarrowingWork / 3000 + 1);
  EXPECT_THAT(sentences.back(), HasSubstr("were not compared"));
}

TEST(Narrowing, EndsComparingSoonerWhereEachTakesLong) {
  std::string stars;
  for (int i = 0; i < 28; ++i) stars += "a*";
  std::vector<std::string> many;
  for (int i = 100; i < 300; ++i) many.push_back(stars + std::to_string(i) + ".x");
  const auto sentences = without_effect(many, {outer(many)});
  ASSERT_EQ(sentences.size(), 1u);
  EXPECT_THAT(sentences.front(), HasSubstr("were not compared"));
}

}  // namespace
}  // namespace namewall
