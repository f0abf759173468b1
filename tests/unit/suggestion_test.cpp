#include "policy/suggestion.h"

#include <gtest/gtest.h>

#include <array>

namespace namewall {
namespace {

constexpr std::array<std::string_view, 4> kWords = {"allow", "deny", "listen", "*"};

TEST(Suggestion, FindsAMissingAddedChangedOrSwappedLetter) {
  for (const char* found : {"alow", "alllow", "allaw", "alolw", "ALLOW", "allw"}) {
    EXPECT_EQ(suggest(found, kWords), "allow") << found;
  }
  EXPECT_EQ(suggest("dney", kWords), "deny");
  EXPECT_EQ(suggest("lisetn", kWords), "listen");
}

TEST(Suggestion, StaysSilentWhenNothingIsNear) {
  for (const char* found : {"", "a", "x", "permit", "dxxy", "allowances"}) {
    EXPECT_FALSE(suggest(found, kWords)) << found;
  }
  EXPECT_FALSE(suggest(std::string(100, 'a'), kWords));
}

TEST(Suggestion, TakesTheNearest) {
  constexpr std::array<std::string_view, 3> kSchemes = {"http", "https", "ssh"};
  EXPECT_EQ(suggest("htps", kSchemes), "https");
  EXPECT_EQ(suggest("htttps", kSchemes), "https");
  EXPECT_EQ(suggest("htpp", kSchemes), "http");
}

}  // namespace
}  // namespace namewall
