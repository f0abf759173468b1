#include "policy/npep133_pattern.h"

#include <gtest/gtest.h>

namespace namewall {
namespace {

bool is_valid(std::string_view text) { return Npep133Pattern::parse(text).has_value(); }
bool is_match(std::string_view pattern, std::string_view name) {
  return Npep133Pattern::parse(pattern).value().matches(name);
}

TEST(Npep133Pattern, TheWildcardIsOneLabelOrMore) {
  EXPECT_TRUE(is_match("*.kubernetes.io", "www.kubernetes.io"));
  EXPECT_TRUE(is_match("*.kubernetes.io", "latest.blog.kubernetes.io."));
  EXPECT_FALSE(is_match("*.kubernetes.io", "kubernetes.io"));
  EXPECT_FALSE(is_match("*.kubernetes.io", ".kubernetes.io"));
  EXPECT_FALSE(is_match("*.kubernetes.io", "a..kubernetes.io"));
  EXPECT_FALSE(is_match("*.kubernetes.io", "my-kubernetes.io"));
}

TEST(Npep133Pattern, ANameMatchesItselfWithoutCaseAndTrailingDot) {
  EXPECT_TRUE(is_match("Kubernetes.io.", "kubernetes.IO"));
  EXPECT_TRUE(is_match("kubernetes.io", "kubernetes.io."));
  EXPECT_FALSE(is_match("kubernetes.io", "www.kubernetes.io"));
  EXPECT_FALSE(is_match("kubernetes.io", "kubernetes.io.."));
}

TEST(Npep133Pattern, NeedsTwoLabelsAndKnowsNoOtherWildcard) {
  for (const char* text : {"a.b", "*.a.b", "*.a.b.", "a-_b.c", "_.a", "_dmarc.a.b", "[.a", "a.`"}) {
    EXPECT_TRUE(is_valid(text)) << text;
  }
  for (const char* text :
       {"",     ".",    "*",     "*.",   "*.io", "io",   "io.",   "**.a.b", "a*.b.c",  "www.*.com",         "*.*.a.b",
        "a..b", ".a.b", "a.b..", "-a.b", "a-.b", "a_.b", "a[b.c", "a b.c",  "a.b:443", "m\xc3\xbcnchen.de", "a.b\n"}) {
    EXPECT_FALSE(is_valid(text)) << text;
  }
}

}  // namespace
}  // namespace namewall
