#include "agent/host/histogram.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

TEST(Histogram, CountsADurationInEveryBucketThatReachesIt) {
  Histogram histogram;
  histogram.observe(microseconds(10));
  histogram.observe(microseconds(11));
  EXPECT_EQ(histogram.at_most(0), 1u);
  EXPECT_EQ(histogram.at_most(1), 2u);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.sum(), microseconds(21));
}

TEST(Histogram, KeepsWhatIsLongerThanEveryBound) {
  Histogram histogram;
  histogram.observe(seconds(60));
  EXPECT_EQ(histogram.at_most(Histogram::kBounds.size() - 1), 0u);
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.longest(), seconds(60));
}

TEST(Histogram, TakesATimeThatWentBackwardsForNone) {
  Histogram histogram;
  histogram.observe(microseconds(-5));
  EXPECT_EQ(histogram.at_most(0), 1u);
  EXPECT_EQ(histogram.sum(), microseconds(0));
}

}  // namespace
}  // namespace namewall::agent
