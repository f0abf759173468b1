#include "policy/image_change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/dns_builder.h"
#include "tests/support/random_policy.h"

namespace namewall {
namespace {

using namewall::testing::address_of;
using namewall::testing::name_of;
using namewall::testing::PolicyGenerator;
using namewall::testing::RandomPolicy;
using namewall::testing::rule_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

PolicyImage image_of(const std::vector<std::string>& allow, const std::vector<std::string>& deny = {},
                     const std::vector<DomainName>& search = {}) {
  Policy policy;
  for (const std::string& text : allow) policy.allow.push_back(rule_of(text, EndpointUse::kAllow));
  for (const std::string& text : deny) policy.deny.push_back(rule_of(text, EndpointUse::kDeny));
  return *compile_policy(policy, {}, {.nameservers = {}, .search = search, .ndots = 1});
}

std::vector<std::string> describe(const PolicyImage& older, const PolicyImage& newer) {
  std::vector<std::string> lines;
  for (const AccessChange& change : changes_between(older, newer)) lines.push_back(to_string(change));
  return lines;
}

TEST(ImageChange, IsEmptyBetweenPoliciesThatDecideAlike) {
  EXPECT_THAT(describe(image_of({"tcp://a.example:22,443"}), image_of({"tcp://a.example:443", "tcp://a.example:22"})),
              IsEmpty());
  EXPECT_THAT(describe(image_of({"*.a.example"}), image_of({"*.a.example", "b.a.example"})), IsEmpty());
}

TEST(ImageChange, SaysWhichNamesOpenAndClose) {
  EXPECT_THAT(
      describe(image_of({"tcp://a.example:22,443", "b.example"}), image_of({"tcp://a.example:443,80", "*.c.example"})),
      ElementsAre("closes a.example tcp/22", "opens a.example tcp/80", "closes b.example tcp/443",
                  "opens *.c.example tcp/443"));
}

TEST(ImageChange, ShowsDeniesAsWhatTheyClose) {
  EXPECT_THAT(describe(image_of({"**.a.example"}), image_of({"**.a.example"}, {"b.a.example"})),
              ElementsAre("closes b.a.example tcp/443"));
  EXPECT_THAT(describe(image_of({"192.0.2.0/24"}), image_of({"192.0.2.0/24"}, {"tcp://192.0.2.1:443"})),
              ElementsAre("closes 192.0.2.1 tcp/443", "closes 192.0.2.1 undenied tcp/443"));
}

TEST(ImageChange, SaysWhichAddressesOpenAndClose) {
  EXPECT_THAT(describe(image_of({"tcp://192.0.2.0/24:443"}), image_of({"tcp://192.0.2.0/25:443"})),
              ElementsAre("closes 192.0.2.0/24 tcp/443"));
}

TEST(ImageChange, TellsAskingFromConnectingAndPrivateFromPublic) {
  EXPECT_THAT(describe(image_of({"a.example"}), image_of({"a.example"}, {}, {name_of("corp.test")})),
              ElementsAre("opens a.example.corp.test ask"));
  EXPECT_THAT(describe(image_of({"a.example"}), image_of({"a.example?private"})),
              ElementsAre("opens a.example private tcp/443"));
}

TEST(ImageChange, ComparesInnerWildcardPatternsForThemselves) {
  EXPECT_THAT(
      describe(image_of({"a*.example"}), image_of({"tcp://a*.example:22"}, {"b*.example"})),
      ElementsAre("closes a*.example tcp/443", "opens a*.example tcp/22", "closes b*.example undenied tcp+udp/* icmp"));
}

TEST(ImageChange, NamesWhatIsNoRule) {
  Policy older, newer;
  older.loopback = Loopback::kAny;
  older.dns.resolvers = {{address_of("192.0.2.53"), Port{53}}};
  newer.mode = Mode::kAudit;
  newer.listen = PortSet({{Protocol::kTcp, Port{8080}, Port{8080}}});
  EXPECT_THAT(describe(*compile_policy(older, {}, {}), *compile_policy(newer, {}, {})),
              ElementsAre("opens listen tcp/8080", "closes loopback any", "opens loopback own", "closes mode enforce",
                          "opens mode audit", "closes resolver 192.0.2.53 udp/53"));
}

TEST(ImageChange, NamesHowLookupsAreLearnedAndBounded) {
  Policy older, newer;
  newer.dns.learn = Learn::kProxy;
  newer.dns.hints = Hints::kStrip;
  newer.dns.ech = Ech::kStrip;
  EXPECT_THAT(describe(*compile_policy(older, {}, {}), *compile_policy(newer, {}, {})),
              ElementsAre("closes learn kernel", "opens learn proxy", "closes hints teach", "opens hints strip",
                          "closes ech keep", "opens ech strip"));
  older.dns.bounds = {10, 20, 30, 40, std::chrono::seconds(50)};
  newer = older;
  newer.dns.bounds = {11, 21, 31, 41, std::chrono::seconds(51)};
  EXPECT_THAT(describe(*compile_policy(older, {}, {}), *compile_policy(newer, {}, {})),
              ElementsAre("closes in_flight 10", "opens in_flight 11", "closes per_second 20", "opens per_second 21",
                          "closes fresh_per_second 30", "opens fresh_per_second 31", "closes connections 40",
                          "opens connections 41", "closes idle 50s", "opens idle 51s"));
}

TEST(ImageChange, IsNeverEmptyWhereARandomNameIsDecidedOtherwise) {
  std::size_t differences = 0;
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    PolicyGenerator generator(seed);
    RandomPolicy random = generator.policy();
    const PolicyImage older = *compile_policy(random.policy, random.host, random.system);
    EXPECT_THAT(changes_between(older, older), IsEmpty());
    std::vector<Rule>& rules = generator.chance(50) ? random.policy.allow : random.policy.deny;
    if (!rules.empty()) rules.erase(rules.begin());
    const PolicyImage newer = *compile_policy(random.policy, random.host, random.system);
    for (int i = 0; i < 30; ++i) {
      const DomainName name = generator.name();
      const NameDecision before = decide_name(older, name), after = decide_name(newer, name);
      if (older.ports_of(before.allow & kAllPorts) == newer.ports_of(after.allow & kAllPorts) &&
          before.may_ask() == after.may_ask()) {
        continue;
      }
      ++differences;
      ASSERT_THAT(changes_between(older, newer), ::testing::Not(IsEmpty())) << name.text() << " seed " << seed;
    }
  }
  EXPECT_GT(differences, 50u);
}

}  // namespace
}  // namespace namewall
