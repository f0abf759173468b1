#include "agent/host/restriction_bounds.h"

#include <gmock/gmock.h>

namespace namewall::agent {
namespace {

BootTime at_second(double second) {
  return BootTime{std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(second))};
}

std::string sentence_of_full(const RestrictSettings& settings, const RestrictionCount& count) {
  const auto room = check_room(settings, count);
  return room ? "" : room.error().message();
}

TEST(RestrictionBounds, LeaveRoomUntilTheLast) {
  const RestrictSettings settings{true, 3, 4, 5, 2, 20};
  EXPECT_TRUE(check_room(settings, {2, 3, 4, 1}));
  EXPECT_THAT(sentence_of_full(settings, {3, 0, 3, 0}), testing::HasSubstr("of this user: 3"));
  EXPECT_THAT(sentence_of_full(settings, {0, 4, 4, 0}), testing::HasSubstr("below this workload: 4"));
  EXPECT_THAT(sentence_of_full(settings, {0, 0, 5, 0}), testing::HasSubstr("on this host: 5"));
  EXPECT_THAT(sentence_of_full(settings, {0, 0, 0, 2}), testing::HasSubstr("in one another: 2"));
  EXPECT_EQ(check_room(settings, {3, 0, 3, 0}).error().kind, ErrorKind::kLimit);
}

TEST(RestrictionBounds, LeaveTheKernelsTablesToTheOperator) {
  RestrictionCount count;
  count.cgroup_depth = kMaxRestrictCgroupDepth;
  EXPECT_THAT(sentence_of_full({}, count), testing::HasSubstr("cgroups in one another: 24"));
  count = {.rules_of_user = kMaxRestrictRulesOfUser - 10, .all_rules = kMaxRestrictRules - 20};
  EXPECT_TRUE(check_rules(count, 10));
  EXPECT_FALSE(check_rules(count, 11));
  count.rules_of_user = 0;
  EXPECT_FALSE(check_rules(count, 21));
}

TEST(RestrictionBounds, AreNotAskedWhereItIsSwitchedOff) {
  RestrictSettings settings;
  settings.enabled = false;
  EXPECT_EQ(check_room(settings, {}).error().kind, ErrorKind::kUnsupported);
}

int count_taken(RestrictionRate& rate, const RestrictSettings& settings, std::uint32_t uid, BootTime now, int calls) {
  int taken = 0;
  for (int i = 0; i < calls; ++i) taken += rate.take(settings, uid, now) ? 1 : 0;
  return taken;
}

TEST(RestrictionRate, GivesAUserABurstAndThenItsShareOfEachSecond) {
  RestrictSettings settings;
  settings.per_second = 5;
  RestrictionRate rate;
  EXPECT_EQ(count_taken(rate, settings, 1000, at_second(10), 100), 20);
  EXPECT_EQ(count_taken(rate, settings, 1000, at_second(11), 100), 5);
  EXPECT_EQ(count_taken(rate, settings, 1000, at_second(1000), 100), 20) << "no more than a burst is saved up";
}

TEST(RestrictionRate, OfOneUserTakesNothingFromTheNext) {
  RestrictSettings settings;
  settings.per_second = 5;
  RestrictionRate rate;
  (void)count_taken(rate, settings, 1000, at_second(10), 1000);
  EXPECT_EQ(count_taken(rate, settings, 1001, at_second(10), 100), 20);
}

TEST(RestrictionRate, OfManyUsersIsBoundedTogether) {
  RestrictSettings settings;
  settings.per_second = 5;
  RestrictionRate rate;
  int taken = 0;
  for (std::uint32_t uid = 100'000; uid < 165'536; ++uid) taken += rate.take(settings, uid, at_second(10)) ? 1 : 0;
  EXPECT_EQ(taken, 5 * 20) << "subordinate ids are one user's";
}

TEST(RestrictionRate, CountsACallThatTookLongAsSeveral) {
  RestrictSettings settings;
  settings.per_second = 5;
  RestrictionRate rate;
  ASSERT_EQ(count_taken(rate, settings, 1000, at_second(10), 1), 1);
  rate.charge(settings, 1000, RestrictionRate::kTimeOfCall / 2);
  EXPECT_EQ(count_taken(rate, settings, 1000, at_second(10), 100), 19) << "what a call takes is paid for";
  ASSERT_EQ(count_taken(rate, settings, 1000, at_second(20), 1), 1);
  rate.charge(settings, 1000, 11 * RestrictionRate::kTimeOfCall);
  EXPECT_EQ(count_taken(rate, settings, 1000, at_second(20), 100), 9);
  EXPECT_EQ(count_taken(rate, settings, 1001, at_second(20), 100), 20) << "another user's share is its own";
}

TEST(RestrictionRate, IsLeftWithNothingForNoLongerThanABurst) {
  RestrictSettings settings;
  settings.per_second = 5;
  RestrictionRate rate;
  ASSERT_EQ(count_taken(rate, settings, 1000, at_second(10), 1), 1);
  rate.charge(settings, 1000, std::chrono::seconds(100));
  EXPECT_EQ(count_taken(rate, settings, 1000, at_second(13.9), 1), 0);
  EXPECT_EQ(count_taken(rate, settings, 1000, at_second(14.5), 1), 1);
}

}  // namespace
}  // namespace namewall::agent
