#include "agent/client/table.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

TEST(Table, AlignsColumnsAndEndsNoLineWithSpaces) {
  Table table({{"NAME"}, {"COUNT", true}, {"NOTE"}});
  table.add({"a", "1", ""});
  table.add({"longer", "1000", "x"});
  EXPECT_EQ(table.to_string(0),
            "NAME    COUNT  NOTE\n"
            "a           1\n"
            "longer   1000  x\n");
}

TEST(Table, TakesRoomFromTheLeastImportantColumnFirst) {
  Table table({{"NAME", false, 0, 4}, {"FILE", false, 1, 6, true}});
  table.add({"a-long-name", "/etc/namewall/policies.d/a.toml"});
  EXPECT_EQ(table.to_string(25),
            "NAME         FILE\n"
            "a-long-name  …es.d/a.toml\n");
}

TEST(Table, LeavesColumnsOutWhereNothingElseHelpsAndGivesTheirRoomToTheOthers) {
  Table table({{"NAME", false, 0, 9}, {"MIDDLE", false, 1, 6}, {"LAST", false, 2, 4}});
  table.add({"name-name", "middle-middle", "last"});
  EXPECT_EQ(table.to_string(18),
            "NAME       MIDDLE\n"
            "name-name  mid…dle\n");
  EXPECT_EQ(table.to_string(9), "NAME\nname-name\n");
}

TEST(Table, NeverExceedsItsWidth) {
  Table table({{"NAME", false, 0, 12}, {"COUNT", true, 0}, {"FILE", false, 1, 16, true}, {"NOTE", false, 2, 8}});
  table.add({std::string(70, 'n'), "123456", std::string(90, 'f'), std::string(50, 't')});
  for (std::size_t width = 1; width < 300; ++width) {
    std::size_t begin = 0;
    const std::string text = table.to_string(width);
    for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
      EXPECT_LE(display_width(std::string_view(text).substr(begin, end - begin)), width);
      begin = end + 1;
    }
  }
}

TEST(Elide, KeepsBothEndsAndWholeCodePoints) {
  EXPECT_EQ(elide("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(elide("abcdefgh", 5), "ab…gh");
  EXPECT_EQ(elide("äöüäöü", 4), "äö…ü");
  EXPECT_EQ(elide("abc", 1), "…");
  EXPECT_EQ(elide("abc", 0), "");
  EXPECT_EQ(elide_begin("/etc/a.toml", 7), "…a.toml");
}

}  // namespace
}  // namespace namewall::agent
