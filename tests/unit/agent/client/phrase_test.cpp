#include "agent/client/phrase.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

TEST(Phrase, SecondsAreSaidInTheUnitThatFits) {
  EXPECT_EQ(phrase_seconds(0.4), "0.4 s");
  EXPECT_EQ(phrase_seconds(12.3), "12 s");
  EXPECT_EQ(phrase_seconds(119), "119 s");
  EXPECT_EQ(phrase_seconds(180), "3 min");
  EXPECT_EQ(phrase_seconds(3 * 3600), "3 h");
  EXPECT_EQ(phrase_seconds(3 * 86400), "3 d");
}

TEST(Phrase, MillisecondsBecomeSecondsFromOneOn) {
  EXPECT_EQ(phrase_ms(0.4), "0.4 ms");
  EXPECT_EQ(phrase_ms(12), "12 ms");
  EXPECT_EQ(phrase_ms(1500), "1.5 s");
}

TEST(Phrase, AmountsAreExactUpToTenThousand) {
  EXPECT_EQ(phrase_amount(9999), "9999");
  EXPECT_EQ(phrase_amount(12'345), "12k");
  EXPECT_EQ(phrase_amount(4'500'000), "4.5M");
}

TEST(Phrase, OneIsSingular) {
  EXPECT_EQ(phrase_count(1, "rule", "rules"), "1 rule");
  EXPECT_EQ(phrase_count(0, "rule", "rules"), "0 rules");
}

TEST(Phrase, TheClockOfATimeThatIsNoneIsTheTextItself) {
  EXPECT_EQ(clock_of("2026-01-31T12:00:01.123Z"), "12:00:01");
  EXPECT_EQ(clock_of("T1"), "T1");
  EXPECT_EQ(clock_of(""), "");
}

}  // namespace
}  // namespace namewall::agent
