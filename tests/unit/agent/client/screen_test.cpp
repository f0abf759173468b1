#include "agent/client/screen.h"

#include <gmock/gmock.h>

#include "agent/client/table.h"

namespace namewall::agent {
namespace {

using testing::ElementsAre;

TEST(Wrap, GoesOnBelowTheHangingIndent) {
  EXPECT_THAT(wrap("  - one two three four", 12, 4), ElementsAre("  - one two", "    three", "    four"));
}

TEST(Wrap, KeepsTheSpacesWithinALine) { EXPECT_THAT(wrap("  name    value", 40, 4), ElementsAre("  name    value")); }

TEST(Wrap, BreaksAWordThatIsLongerThanALine) {
  EXPECT_THAT(wrap("a bbbbbbbbbb c", 6, 2), ElementsAre("a", "  bbbb", "  bbbb", "  bb c"));
}

TEST(Wrap, NeverExceedsTheWidthAndLosesNothing) {
  const std::string text = "namewall refuses äöüäöüäöüäöüäöü because /a/very/long/path/that/has/no/space is not named";
  for (std::size_t width = 8; width < 100; ++width) {
    std::string joined;
    for (const std::string& line : wrap(text, width, 4)) {
      EXPECT_LE(display_width(line), width);
      for (const char each : line) joined += each == ' ' ? "" : std::string(1, each);
    }
    std::string wanted;
    for (const char each : text) wanted += each == ' ' ? "" : std::string(1, each);
    EXPECT_EQ(joined, wanted);
  }
}

TEST(Wrap, OfNothingIsOneEmptyLine) { EXPECT_THAT(wrap("", 10, 2), ElementsAre("")); }

TEST(Paint, ColoursOnlyWhereTheScreenHasColour) {
  EXPECT_EQ(paint({80, false, true}, Tone::kGood, "ok"), "ok");
  EXPECT_EQ(paint({80, true, true}, Tone::kGood, "ok"), "\x1b[32mok\x1b[0m");
  EXPECT_EQ(paint({80, true, true}, Tone::kPlain, "ok"), "ok");
}

}  // namespace
}  // namespace namewall::agent
