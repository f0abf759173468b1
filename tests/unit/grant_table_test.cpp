#include "policy/grant_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/dns_builder.h"
#include "tests/support/random_policy.h"

namespace namewall {
namespace {

using namewall::testing::address_of;
using namewall::testing::name_of;
using namewall::testing::rule_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

BootTime at(int seconds) { return {std::chrono::seconds(seconds)}; }

Grant grant(const std::string& name, const std::string& address, int until, PortMask ports = 1) {
  return {name_of(name), address_of(address), at(until), ports, NW_REASON_NONE};
}

Grant note(const std::string& name, const std::string& address, int when) {
  return {name_of(name), address_of(address), at(when), 0, NW_REASON_PRIVATE_ANSWER};
}

std::string describe(const Grant& grant, BootTime now) {
  return grant.name.text() + " " + grant.address.to_string() + (grant.is_live(now) ? " live" : " remembered");
}

std::vector<std::string> describe_all(const GrantTable& table, int now) {
  std::vector<std::string> all;
  for (const Grant& entry : table.all()) all.push_back(describe(entry, at(now)));
  return all;
}

TEST(GrantTable, FindsEveryNameOfAnAddressTheLiveOnesFirst) {
  GrantTable table(8);
  table.learn({grant("a.example", "192.0.2.1", 10), grant("b.example", "192.0.2.1", 30)}, at(0));
  table.learn({grant("c.example", "192.0.2.2", 30)}, at(0));
  const std::vector<Grant> found = table.find(address_of("192.0.2.1"), at(20));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(describe(found[0], at(20)), "b.example 192.0.2.1 live");
  EXPECT_EQ(describe(found[1], at(20)), "a.example 192.0.2.1 remembered");
  EXPECT_THAT(table.find(address_of("192.0.2.3"), at(20)), IsEmpty());
}

TEST(GrantTable, AGrantIsLiveBeforeItsDeadlineAndNotAtIt) {
  const Grant entry = grant("a.example", "192.0.2.1", 10);
  EXPECT_TRUE(entry.is_live({at(10).since_boot - Nanoseconds(1)}));
  EXPECT_FALSE(entry.is_live(at(10)));
}

TEST(GrantTable, ALaterAnswerExtendsAndNeverShortens) {
  GrantTable table(8);
  table.learn({grant("a.example", "192.0.2.1", 100, 1)}, at(0));
  table.learn({grant("a.example", "192.0.2.1", 50, 2)}, at(10));
  ASSERT_EQ(table.all().size(), 1u);
  EXPECT_EQ(table.all()[0].deadline, at(100));
  EXPECT_EQ(table.all()[0].ports, 2u);
  table.learn({grant("a.example", "192.0.2.1", 150, 2)}, at(20));
  EXPECT_EQ(table.all()[0].deadline, at(150));
}

TEST(GrantTable, AnAnswerWithAnEndEndsWhatHadNone) {
  GrantTable table(8);
  Grant never = grant("a.example", "192.0.2.1", 100);
  never.deadline = kNever;
  table.learn({never}, at(0));
  table.learn({grant("a.example", "192.0.2.1", 50)}, at(10));
  EXPECT_EQ(table.all()[0].deadline, at(50));
  EXPECT_EQ(table.live_count(at(50)), 0u);
}

TEST(GrantTable, RemembersSinceWhenAGrantLivesAndWhenItWasRenewed) {
  GrantTable table(8);
  table.learn({grant("a.example", "192.0.2.1", 100)}, at(0));
  table.learn({grant("a.example", "192.0.2.1", 50)}, at(10));  // no later deadline
  ASSERT_EQ(table.all_timed().size(), 1u);
  EXPECT_EQ(table.all_timed()[0].learned, at(0));
  EXPECT_EQ(table.all_timed()[0].renewed, at(0));
  table.learn({grant("a.example", "192.0.2.1", 150)}, at(20));
  EXPECT_EQ(table.all_timed()[0].learned, at(0));
  EXPECT_EQ(table.all_timed()[0].renewed, at(20));
  table.learn({grant("a.example", "192.0.2.1", 300)}, at(200));  // it was over
  EXPECT_EQ(table.all_timed()[0].learned, at(200));
  EXPECT_EQ(table.all_timed()[0].grant.deadline, at(300));
}

TEST(GrantTable, OneAnswerIsLearnedWholeOrNotAtAll) {
  GrantTable table(3);
  table.learn({grant("a.example", "192.0.2.1", 100), grant("a.example", "192.0.2.2", 100)}, at(0));
  const auto before = table.all();
  EXPECT_EQ(table.learn({grant("b.example", "192.0.2.3", 100), grant("b.example", "192.0.2.4", 100)}, at(1)),
            LearnOutcome::kGrantsFull);
  EXPECT_EQ(table.all(), before);
  EXPECT_EQ(table.learn({grant("b.example", "192.0.2.3", 100)}, at(1)), LearnOutcome::kLearned);
}

TEST(GrantTable, ARefreshNeedsNoRoom) {
  GrantTable table(1);
  table.learn({grant("a.example", "192.0.2.1", 100)}, at(0));
  EXPECT_EQ(table.learn({grant("a.example", "192.0.2.1", 200), grant("a.example", "192.0.2.1", 150)}, at(1)),
            LearnOutcome::kLearned);
  EXPECT_EQ(table.all()[0].deadline, at(200));
}

TEST(GrantTable, AnAddressCountsOnceForEachOfItsNames) {
  GrantTable table(1);
  table.learn({grant("a.example", "192.0.2.1", 100)}, at(0));
  EXPECT_EQ(table.learn({grant("b.example", "192.0.2.1", 100)}, at(0)), LearnOutcome::kGrantsFull);
}

TEST(GrantTable, ExpiredGrantsGiveWayTheLongestExpiredFirst) {
  GrantTable table(2);
  table.learn({grant("b.example", "192.0.2.1", 10), grant("a.example", "192.0.2.2", 20)}, at(0));
  EXPECT_EQ(table.learn({grant("c.example", "192.0.2.3", 100)}, at(30)), LearnOutcome::kLearned);
  EXPECT_THAT(describe_all(table, 30), ElementsAre("a.example 192.0.2.2 remembered", "c.example 192.0.2.3 live"));
}

TEST(GrantTable, NotesNeverTakeTheRoomOrThePlaceOfALiveGrant) {
  GrantTable table(1);
  table.learn({grant("a.example", "192.0.2.1", 100)}, at(0));
  EXPECT_EQ(table.learn({note("b.example", "10.0.0.1", 1), note("a.example", "192.0.2.1", 1)}, at(1)),
            LearnOutcome::kTaughtNothing);
  EXPECT_THAT(describe_all(table, 1), ElementsAre("a.example 192.0.2.1 live"));
}

TEST(GrantTable, ANoteIsRememberedAndTakesThePlaceOfAnExpiredGrant) {
  GrantTable table(4);
  table.learn({grant("a.example", "10.0.0.1", 10)}, at(0));
  EXPECT_EQ(table.learn({note("a.example", "10.0.0.1", 20)}, at(20)), LearnOutcome::kTaughtNothing);
  EXPECT_EQ(table.find(address_of("10.0.0.1"), at(20))[0].note, NW_REASON_PRIVATE_ANSWER);
  EXPECT_EQ(table.learn({grant("a.example", "10.0.0.1", 90)}, at(30)), LearnOutcome::kLearned);
  EXPECT_EQ(table.find(address_of("10.0.0.1"), at(30))[0].note, NW_REASON_NONE);
}

TEST(GrantTable, ANewPolicyDecidesThePortsAgainAndKeepsDeadlines) {
  Policy policy;
  policy.allow = {rule_of("tcp://a.example:22", EndpointUse::kAllow),
                  rule_of("tcp://p.example:80", EndpointUse::kAllow)};
  policy.allow.push_back(rule_of("tcp://p.example:81?private", EndpointUse::kAllow));
  const PolicyImage image = *compile_policy(policy, {}, {});
  GrantTable table(8);
  table.learn({grant("a.example", "192.0.2.1", 10, kAllPorts), grant("b.example", "192.0.2.2", 10, kAllPorts),
               grant("p.example", "192.0.2.3", 10, kAllPorts), grant("p.example", "10.0.0.1", 10, kAllPorts),
               note("a.example", "10.0.0.2", 0)},
              at(0));
  table.rejudge(image);
  const auto ports = [&](const char* address) {
    const Grant entry = table.find(address_of(address), at(0)).at(0);
    return image.ports_of(entry.ports).to_string() + " " +
           std::to_string(entry.deadline.since_boot.count() / 1000000000);
  };
  EXPECT_EQ(ports("192.0.2.1"), "tcp/22 10");
  EXPECT_EQ(ports("192.0.2.2"), " 10");
  EXPECT_EQ(ports("192.0.2.3"), "tcp/80-81 10");
  EXPECT_EQ(ports("10.0.0.1"), "tcp/81 10");
  EXPECT_EQ(table.find(address_of("10.0.0.2"), at(0))[0].note, NW_REASON_PRIVATE_ANSWER);
}

TEST(GrantTable, TheNextAnswerEndsWhatItLeavesOutOfItsNameAndFamily) {
  GrantTable table(3);
  table.learn(
      {grant("a.example", "192.0.2.1", 90), grant("a.example", "2001:db8::1", 90), grant("b.example", "192.0.2.1", 90)},
      at(0));
  // There is room for it only because the other one ends.
  EXPECT_EQ(table.learn({grant("a.example", "192.0.2.2", 90)}, at(5), Replacement{name_of("a.example"), 4}),
            LearnOutcome::kLearned);
  EXPECT_EQ(table.live_count(at(5)), 3u);
  EXPECT_FALSE(table.find(address_of("192.0.2.1"), at(5)).at(0).name == name_of("a.example"));
  EXPECT_TRUE(table.find(address_of("2001:db8::1"), at(5)).at(0).is_live(at(5)));
  EXPECT_EQ(table.learn({grant("a.example", "192.0.2.2", 90)}, at(6), Replacement{name_of("a.example"), 4}),
            LearnOutcome::kLearned);
  EXPECT_TRUE(table.find(address_of("192.0.2.2"), at(6)).at(0).is_live(at(6)));
  table.learn({}, at(7), Replacement{name_of("a.example"), 6});
  EXPECT_FALSE(table.find(address_of("2001:db8::1"), at(7)).at(0).is_live(at(7)));
  EXPECT_TRUE(table.find(address_of("192.0.2.2"), at(7)).at(0).is_live(at(7)));
}

TEST(GrantTable, AnAnswerThatDoesNotFitEndsNothing) {
  GrantTable table(2);
  table.learn({grant("a.example", "192.0.2.1", 90), grant("b.example", "192.0.2.2", 90)}, at(0));
  EXPECT_EQ(table.learn({grant("a.example", "192.0.2.3", 90), grant("a.example", "192.0.2.4", 90)}, at(1),
                        Replacement{name_of("a.example"), 4}),
            LearnOutcome::kGrantsFull);
  EXPECT_TRUE(table.find(address_of("192.0.2.1"), at(1)).at(0).is_live(at(1)));
}

TEST(GrantTable, CountsWhatIsLive) {
  GrantTable table(8);
  table.learn(
      {grant("a.example", "192.0.2.1", 10), grant("b.example", "192.0.2.1", 30), note("c.example", "10.0.0.1", 0)},
      at(0));
  EXPECT_EQ(table.live_count(at(0)), 2u);
  EXPECT_EQ(table.live_count(at(10)), 1u);
}

}  // namespace
}  // namespace namewall
