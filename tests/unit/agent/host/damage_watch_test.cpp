#include "agent/host/damage_watch.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

constexpr std::size_t kTicks = DamageWatch::kRound / DamageWatch::kEach;

TEST(DamageWatch, ARoundAtFullPaceReachesEveryWorkload) {
  for (const std::size_t workloads : {0u, 1u, 15u, 16u, 17u, 1000u, 10000u}) {
    EXPECT_GE(DamageWatch::share_of_round(workloads) * kTicks, workloads);
  }
}

TEST(DamageWatch, AHostOfFewWorkloadsIsLookedOverWithinARoundWithoutCause) {
  EXPECT_GE(DamageWatch::calm_share(200) * kTicks, 200u);
}

TEST(DamageWatch, ACalmHostOfManyWorkloadsIsLookedOverAtAFixedRate) {
  EXPECT_EQ(DamageWatch::calm_share(1'000'000), DamageWatch::calm_share(10'000));
  EXPECT_EQ(DamageWatch::calm_share(10'000) * 2, DamageWatch::kWorkloadsASecond);
}

}  // namespace
}  // namespace namewall::agent
