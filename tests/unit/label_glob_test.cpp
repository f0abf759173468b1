#include "policy/label_glob.h"

#include <gtest/gtest.h>

#include <string>

namespace namewall {
namespace {

TEST(LabelGlob, StarStandsForAnyNumberOfCharacters) {
  EXPECT_TRUE(label_glob_matches("*", ""));
  EXPECT_TRUE(label_glob_matches("*", "abc"));
  EXPECT_TRUE(label_glob_matches("a*", "a"));
  EXPECT_TRUE(label_glob_matches("*c", "abc"));
  EXPECT_TRUE(label_glob_matches("a*b*c", "a-b-b-c"));
  EXPECT_TRUE(label_glob_matches("", ""));
}

TEST(LabelGlob, CharactersBesideItMustStandThere) {
  EXPECT_FALSE(label_glob_matches("a*", "ba"));
  EXPECT_FALSE(label_glob_matches("*c", "cb"));
  EXPECT_FALSE(label_glob_matches("ab*ba", "aba"));
  EXPECT_FALSE(label_glob_matches("abc", "ab"));
  EXPECT_FALSE(label_glob_matches("ab", "abc"));
  EXPECT_FALSE(label_glob_matches("", "a"));
}

TEST(LabelGlob, ManyStarsStayCheap) {
  std::string pattern;
  for (int i = 0; i < 31; ++i) pattern += "*a";
  EXPECT_FALSE(label_glob_matches(pattern + "b", std::string(63, 'a')));
  EXPECT_TRUE(label_glob_matches(pattern, std::string(63, 'a')));
}

}  // namespace
}  // namespace namewall
