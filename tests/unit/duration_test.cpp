#include "policy/duration.h"

#include <gtest/gtest.h>

namespace namewall {
namespace {

using namespace std::chrono_literals;

TEST(Duration, ReadsUnitsAndTheirSums) {
  EXPECT_EQ(parse_duration("0s"), 0s);
  EXPECT_EQ(parse_duration("5s"), 5s);
  EXPECT_EQ(parse_duration("90s"), 90s);
  EXPECT_EQ(parse_duration("24h"), 24h);
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration("1h1m1s1ms"), 1h + 1min + 1s + 1ms);
}

TEST(Duration, RefusesEverythingElse) {
  for (const char* text : {"", "5", "s", "5 s", " 5s", "5s ", "-5s", "+5s", "5S", "5d", "5sec", "1.5s", "5s5s", "5s1m",
                           "5ms1s", "1h30", "0x5s", "99999999999999999999s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Duration, IsAtMostAYear) {
  EXPECT_EQ(parse_duration("8760h"), kMaxDuration);
  EXPECT_FALSE(parse_duration("8760h1ms"));
  EXPECT_FALSE(parse_duration("8761h"));
  EXPECT_FALSE(parse_duration("9223372036854775807h"));
}

TEST(Duration, FormatsToWhatParsesBack) {
  for (const Nanoseconds duration : {Nanoseconds(0s), Nanoseconds(1ms), Nanoseconds(999ms), Nanoseconds(90s),
                                     Nanoseconds(90min), Nanoseconds(24h), Nanoseconds(25h + 1ms), kMaxDuration}) {
    EXPECT_EQ(parse_duration(format_duration(duration)), duration) << format_duration(duration);
  }
  EXPECT_EQ(format_duration(90s), "1m30s");
}

}  // namespace
}  // namespace namewall
