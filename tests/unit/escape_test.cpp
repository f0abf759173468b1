#include "policy/escape.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace namewall {
namespace {

TEST(Escape, KeepsPrintableAscii) {
  EXPECT_EQ(escape_for_display(" a-Z_0.9~\"'<>&$`"), " a-Z_0.9~\"'<>&$`");
  EXPECT_EQ(escape_for_display(""), "");
}

TEST(Escape, DoublesTheBackslashSoThatEscapesCannotBeForged) {
  EXPECT_EQ(escape_for_display("\\x1b"), "\\\\x1b");
  EXPECT_NE(escape_for_display("\\x1b"), escape_for_display("\x1b"));
}

TEST(Escape, MakesControlBytesAndNonAsciiVisible) {
  EXPECT_EQ(escape_for_display("\x1b[31m\n\r\t\x7f"), "\\x1b[31m\\x0a\\x0d\\x09\\x7f");
  EXPECT_EQ(escape_for_display(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(escape_for_display("\xc2\x9b\xe2\x80\xae"), "\\xc2\\x9b\\xe2\\x80\\xae");
}

TEST(Escape, NeverLeavesAnUnsafeByteAndStaysWithinItsBound) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  const std::string escaped = escape_for_display(every_byte);
  EXPECT_TRUE(std::all_of(escaped.begin(), escaped.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
  EXPECT_LE(escaped.size(), 4 * every_byte.size());
}

TEST(Escape, QuotesWhatAMessagePointsAt) { EXPECT_EQ(quote_for_display("a\nb"), "`a\\x0ab`"); }

}  // namespace
}  // namespace namewall
