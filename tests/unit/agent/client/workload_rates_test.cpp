#include "agent/client/workload_rates.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

WorkloadView counted(const std::string& name, std::uint32_t id, std::uint64_t lookups, std::uint64_t refusals) {
  WorkloadView view;
  view.name = name;
  view.workload_id = id;
  view.lookups = lookups;
  view.refusals = refusals;
  return view;
}

TEST(WorkloadRates, AreWhatTheCountersGrewInTheTime) {
  const auto rates = build_rates({counted("a", 1, 100, 5)}, {counted("a", 1, 120, 6)}, 2);
  ASSERT_EQ(rates.size(), 1u);
  EXPECT_DOUBLE_EQ(rates[0].lookups_per_s, 10);
  EXPECT_DOUBLE_EQ(rates[0].refusals_per_s, 0.5);
}

TEST(WorkloadRates, OfAWorkloadThatWasArmedAnewCountFromZero) {
  EXPECT_DOUBLE_EQ(build_rates({counted("a", 1, 100, 0)}, {counted("a", 2, 30, 0)}, 1)[0].lookups_per_s, 30);
  EXPECT_DOUBLE_EQ(build_rates({counted("a", 1, 100, 0)}, {counted("a", 1, 30, 0)}, 1)[0].lookups_per_s, 30);
}

TEST(WorkloadRates, TheBusiestIsFirstAndNoTimeIsNoRate) {
  const auto rates = build_rates({}, {counted("idle", 1, 0, 0), counted("busy", 2, 50, 50)}, 1);
  EXPECT_EQ(rates[0].workload, "busy");
  EXPECT_DOUBLE_EQ(build_rates({}, {counted("busy", 2, 50, 50)}, 0)[0].lookups_per_s, 0);
}

TEST(WorkloadRates, ShowAtMostAsManyRowsAsThereIsRoom) {
  const auto rates = build_rates({}, {counted("a", 1, 3, 0), counted("b", 2, 2, 0), counted("c", 3, 1, 0)}, 1);
  EXPECT_EQ(rates_text(rates, 2, {}).find("\nc "), std::string::npos);
  EXPECT_NE(rates_text(rates, 0, {}).find("\nc "), std::string::npos);
}

}  // namespace
}  // namespace namewall::agent
