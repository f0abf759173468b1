#include "agent/host/counter_totals.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

Counters reading(std::uint64_t questions, std::uint64_t not_allowed = 0) {
  Counters counters;
  counters.by_reason.resize(NW_REASON_COUNT);
  counters.by_reason[NW_REASON_NAME_NOT_ALLOWED] = not_allowed;
  counters.counters = {{"questions", questions}};
  return counters;
}

Counters reading_of(Reason reason, std::uint64_t count) {
  Counters counters;
  counters.by_reason.resize(NW_REASON_COUNT);
  counters.by_reason[reason] = count;
  return counters;
}

TEST(CounterTotals, SumsTheWorkloadsOfOnePolicy) {
  CounterTotals totals;
  totals.record(1, "builder", reading(10, 2));
  totals.record(2, "builder", reading(5, 1));
  totals.record(3, "runner", reading(7));
  EXPECT_EQ(totals.by_label().at("builder").lookups_allowed, 15u);
  EXPECT_EQ(totals.by_label().at("builder").lookups_refused, 3u);
  EXPECT_EQ(totals.by_label().at("builder").refusals.at("name_not_allowed"), 3u);
  EXPECT_EQ(totals.by_label().at("runner").lookups_allowed, 7u);
}

TEST(CounterTotals, CountsOfASecondReadingOnlyWhatIsNew) {
  CounterTotals totals;
  totals.record(1, "builder", reading(10));
  totals.record(1, "builder", reading(12));
  EXPECT_EQ(totals.by_label().at("builder").lookups_allowed, 12u);
}

TEST(CounterTotals, KeepWhatAnEndedWorkloadCounted) {
  CounterTotals totals;
  totals.record(1, "builder", reading(10));
  totals.end(1);
  totals.record(2, "builder", reading(1));
  EXPECT_EQ(totals.by_label().at("builder").lookups_allowed, 11u);
}

TEST(CounterTotals, TakeALowerReadingForCountersThatBeganAnew) {
  CounterTotals totals;
  totals.record(1, "builder", reading(10));
  totals.record(1, "builder", reading(3));
  EXPECT_EQ(totals.by_label().at("builder").lookups_allowed, 13u);
}

TEST(CounterTotals, LeaveOutWhatAnEarlierDaemonCounted) {
  CounterTotals totals;
  totals.adopt(1, "builder", reading(1000));
  totals.record(1, "builder", reading(1004));
  EXPECT_EQ(totals.by_label().at("builder").lookups_allowed, 4u);
}

TEST(CounterTotals, CountForTheNewPolicyAfterAWorkloadChangedItsPolicy) {
  CounterTotals totals;
  totals.record(1, "old", reading(10));
  totals.record(1, "new", reading(15));
  EXPECT_EQ(totals.by_label().at("old").lookups_allowed, 10u);
  EXPECT_EQ(totals.by_label().at("new").lookups_allowed, 5u);
}

TEST(CounterTotals, TellWhichReasonsWithholdAnAnswerAndWhichAreBounds) {
  CounterTotals totals;
  totals.record(1, "p", reading_of(NW_REASON_GRANTS_FULL, 2));
  totals.record(2, "p", reading_of(NW_REASON_ANSWER_TRUNCATED, 4));
  totals.record(3, "p", reading_of(NW_REASON_QUESTION_NO_SLOT, 8));
  const CounterSums& sums = totals.by_label().at("p");
  EXPECT_EQ(sums.answers_withheld, 2u) << "a truncated answer is delivered";
  EXPECT_EQ(sums.lookups_refused, 8u);
  EXPECT_EQ(sums.bounds_reached,
            (std::map<std::string, std::uint64_t>{{"grants", 2}, {"names", 0}, {"pending_questions", 8}}));
}

TEST(CounterTotals, IgnoreCountersOfANewerKernelSide) {
  CounterTotals totals;
  Counters counters;
  counters.by_reason.resize(64, 1);
  counters.counters = {{"questions", 3}, {"of_the_future", 9}};
  totals.record(1, "p", counters);
  EXPECT_EQ(totals.by_label().at("p").lookups_allowed, 3u);
  EXPECT_EQ(totals.by_label().at("p").refusals.size(), NW_REASON_COUNT - 1u);
}

class FullTotals : public testing::Test {
 protected:
  void SetUp() override {
    for (std::uint32_t id = 0; id < CounterTotals::kMaxPolicies; ++id)
      totals_.record(id, "policy" + std::to_string(id), reading(1));
  }
  CounterTotals totals_;
};

TEST_F(FullTotals, LetNewPoliciesShareOneLabelWhileEveryPlaceIsInUse) {
  totals_.record(1000, "late", reading(5));
  totals_.record(1001, "later", reading(6));
  EXPECT_FALSE(totals_.by_label().contains("late"));
  EXPECT_EQ(totals_.by_label().at("other").lookups_allowed, 11u);
  EXPECT_EQ(totals_.label_of("late"), "other");
  EXPECT_EQ(totals_.by_label().size(), CounterTotals::kMaxPolicies + 1);
}

TEST_F(FullTotals, GiveThePlaceOfThePolicyThatWasUnusedForLongestToANewOne) {
  totals_.end(8);
  totals_.end(7);
  totals_.label_of("policy7");
  totals_.record(1000, "late", reading(5));
  EXPECT_EQ(totals_.by_label().at("late").lookups_allowed, 5u);
  EXPECT_FALSE(totals_.by_label().contains("policy8"));
  EXPECT_TRUE(totals_.by_label().contains("policy7"));
}

TEST_F(FullTotals, NeverLetTheSharedLabelLoseWhatItCounted) {
  totals_.record(1000, "late", reading(5));
  totals_.end(7);
  totals_.record(1000, "late", reading(6));
  EXPECT_EQ(totals_.by_label().at("other").lookups_allowed, 5u);
  EXPECT_EQ(totals_.by_label().at("late").lookups_allowed, 1u);
}

TEST_F(FullTotals, AskingForALabelTakesNoPlaceFromAnybody) {
  totals_.end(7);
  EXPECT_EQ(totals_.label_of("without_workloads"), "other");
  EXPECT_TRUE(totals_.by_label().contains("policy7"));
}

}  // namespace
}  // namespace namewall::agent
