#include "policy/cilium_pattern.h"

#include <gtest/gtest.h>

namespace namewall {
namespace {

bool matches(std::string_view pattern, std::string_view name) {
  return CiliumPattern::match_pattern(pattern).value().matches(name);
}

TEST(CiliumPattern, StarStaysWithinItsLabelAndMayBeEmpty) {
  EXPECT_TRUE(matches("*.cilium.io", "a.cilium.io"));
  EXPECT_TRUE(matches("*.cilium.io", ".cilium.io"));
  EXPECT_FALSE(matches("*.cilium.io", "cilium.io"));
  EXPECT_FALSE(matches("*.cilium.io", "a.b.cilium.io"));
  EXPECT_TRUE(matches("a**b.io", "ab.io"));
}

TEST(CiliumPattern, LeadingRunOfStarsIsWholeLabels) {
  for (const char* pattern : {"**.cilium.io", "***.cilium.io.", "*****.cilium.io"}) {
    EXPECT_TRUE(matches(pattern, "a.b.cilium.io.")) << pattern;
    EXPECT_FALSE(matches(pattern, "cilium.io.")) << pattern;
    EXPECT_FALSE(matches(pattern, ".cilium.io.")) << pattern;
    EXPECT_FALSE(matches(pattern, "a..cilium.io.")) << pattern;
  }
  EXPECT_FALSE(matches("a.**.io", "a.b.c.io"));
  EXPECT_TRUE(matches("a.**.io", "a.b.io"));
  EXPECT_TRUE(matches("**.*.io", "a.b.io"));
  EXPECT_TRUE(matches("**.*.io", "a..io"));
}

TEST(CiliumPattern, StarsAloneAreEveryWellFormedNameAndTheRoot) {
  for (const char* pattern : {"*", "**", "*.", "**."}) {
    EXPECT_TRUE(matches(pattern, ".")) << pattern;
    EXPECT_TRUE(matches(pattern, "a.b.io")) << pattern;
    for (const char* name : {"", ".io.", "a..io", "..", "a b.io"})
      EXPECT_FALSE(matches(pattern, name)) << pattern << name;
  }
}

TEST(CiliumPattern, EmptyLabelsAreComparedLikeAnyOther) {
  EXPECT_TRUE(matches(".", "."));
  EXPECT_FALSE(matches(".", ""));
  EXPECT_FALSE(matches(".", ".."));
  EXPECT_TRUE(matches("a..b", "a..b."));
  EXPECT_FALSE(matches("a..b", "a.b."));
  EXPECT_TRUE(matches("*.*", ".."));
}

TEST(CiliumPattern, WildcardsStandForNameCharactersOnly) {
  EXPECT_TRUE(matches("*.io", "A-_9.io"));
  EXPECT_FALSE(matches("*.io", "a b.io"));
  EXPECT_FALSE(matches("*.io", "\xc3\xbc.io"));
}

TEST(CiliumPattern, ANameIsLiteral) {
  EXPECT_TRUE(CiliumPattern::match_name("Cilium.io").value().matches("cilium.IO."));
  EXPECT_FALSE(CiliumPattern::match_name("cilium.io").value().matches("a.cilium.io"));
  EXPECT_FALSE(CiliumPattern::match_name("*.cilium.io"));
}

TEST(CiliumPattern, ASelectorHasExactlyOneField) {
  EXPECT_TRUE(CiliumPattern::selector("a.io", ""));
  EXPECT_TRUE(CiliumPattern::selector("", "*.io"));
  EXPECT_FALSE(CiliumPattern::selector("", ""));
  EXPECT_FALSE(CiliumPattern::selector("a.io", "*.io"));
}

TEST(CiliumPattern, BoundsLengthAndCharactersOnly) {
  EXPECT_TRUE(CiliumPattern::match_pattern(std::string(255, 'a')));
  EXPECT_FALSE(CiliumPattern::match_pattern(std::string(256, 'a')));
  EXPECT_TRUE(CiliumPattern::match_pattern("a..b"));
  for (const char* text : {"", " a", "a b", "a/b", "*:443", "[a].b", "m\xc3\xbcnchen.de"}) {
    EXPECT_FALSE(CiliumPattern::match_pattern(text)) << text;
  }
}

}  // namespace
}  // namespace namewall
