#include "policy/name_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall {
namespace {

using ::testing::HasSubstr;

NamePattern pattern(std::string_view text) { return NamePattern::parse(text).value(); }
DomainName name(std::string_view text) { return DomainName::parse(text).value(); }
bool matches(std::string_view a_pattern, std::string_view a_name) { return pattern(a_pattern).matches(name(a_name)); }

std::string refusal(std::string_view text) {
  const auto parsed = NamePattern::parse(text);
  return parsed ? "accepted as " + parsed->text() : parsed.error().what;
}

TEST(NamePattern, ExactNameMatchesItselfInAnyCaseAndWithTrailingDot) {
  EXPECT_TRUE(matches("Example.COM.", "example.com"));
  EXPECT_FALSE(matches("example.com", "www.example.com"));
  EXPECT_FALSE(matches("example.com", "com"));
  EXPECT_FALSE(matches("example.com", "exampleXcom.com"));
}

TEST(NamePattern, StarAsAWholeLabelIsExactlyOneLabel) {
  EXPECT_TRUE(matches("*.example.com", "www.example.com"));
  EXPECT_FALSE(matches("*.example.com", "example.com"));
  EXPECT_FALSE(matches("*.example.com", "a.b.example.com"));
  EXPECT_FALSE(matches("*.example.com", "www.notexample.com"));
  EXPECT_TRUE(matches("*.s3.*.amazonaws.com", "bucket.s3.eu-west-1.amazonaws.com"));
  EXPECT_FALSE(matches("*.s3.*.amazonaws.com", "bucket.s3.amazonaws.com"));
  EXPECT_FALSE(matches("*.s3.*.amazonaws.com", "a.bucket.s3.eu-west-1.amazonaws.com"));
  EXPECT_TRUE(matches("example.*", "example.com"));
}

TEST(NamePattern, StarBesideCharactersStaysWithinItsLabel) {
  EXPECT_TRUE(matches("api*.example.com", "api.example.com"));
  EXPECT_TRUE(matches("api*.example.com", "api-v2.example.com"));
  EXPECT_FALSE(matches("api*.example.com", "api.v2.example.com"));
  EXPECT_TRUE(matches("part*ial.com", "part-extra-ial.com"));
  EXPECT_TRUE(matches("*example.com", "myexample.com"));
  EXPECT_FALSE(matches("*example.com", "my.example.com"));
}

TEST(NamePattern, LeadingDoubleStarIsOneLabelOrMore) {
  EXPECT_TRUE(matches("**.example.com", "www.example.com"));
  EXPECT_TRUE(matches("**.example.com", "a.b.c.example.com"));
  EXPECT_FALSE(matches("**.example.com", "example.com"));
  EXPECT_FALSE(matches("**.example.com", "badexample.com"));
  EXPECT_FALSE(matches("**.example.com", "com"));
  EXPECT_TRUE(matches("**.*.example.com", "a.b.example.com"));
  EXPECT_FALSE(matches("**.*.example.com", "b.example.com"));
}

TEST(NamePattern, NothingMatchesTheRoot) {
  for (const char* text : {"*.com", "**.com", "com", "*.*"}) {
    EXPECT_FALSE(pattern(text).matches(DomainName::from_normal(""))) << text;
  }
}

TEST(NamePattern, StoresLiteralLabelsAsAscii) {
  EXPECT_EQ(pattern("*.BÜCHER.example.").text(), "*.xn--bcher-kva.example");
  EXPECT_EQ(pattern("bücher.example").text(), "xn--bcher-kva.example");
  EXPECT_TRUE(matches("**.bücher.example", "www.xn--bcher-kva.example"));
}

TEST(NamePattern, RefusesALoneWildcard) {
  for (const char* text : {"*", "**", "*.", "**."}) EXPECT_THAT(refusal(text), HasSubstr("lone wildcard")) << text;
}

TEST(NamePattern, RefusesDoubleStarAnywhereButAsTheFirstLabel) {
  EXPECT_THAT(refusal("a.**.b"), HasSubstr("only at the beginning"));
  for (const char* text : {"a**.b", "**b", "**b.c", "***.b", "a.b**", "*.a**b.c", "****"}) {
    EXPECT_THAT(refusal(text), HasSubstr("whole label at the beginning")) << text;
  }
}

TEST(NamePattern, RefusesWhatIsNoLabel) {
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal("*..com"), HasSubstr("label empty"));
  EXPECT_THAT(refusal(".*.com"), HasSubstr("label empty"));
  EXPECT_THAT(refusal("*.com.."), HasSubstr("label empty"));
  EXPECT_THAT(refusal("bü*.example"), HasSubstr("only ASCII"));
  EXPECT_THAT(refusal("a*/b.example"), HasSubstr("only ASCII"));
  EXPECT_THAT(refusal("*.a b.example"), HasSubstr("found ` `"));
  EXPECT_THAT(refusal("*.＊.example"), HasSubstr("found `*`"));
  EXPECT_THAT(refusal("[a-z]*.example"), HasSubstr("only ASCII"));
}

TEST(NamePattern, BoundsLabelsAndLength) {
  EXPECT_THAT(refusal("*" + std::string(64, 'a') + ".com"), HasSubstr("more than 63"));
  EXPECT_EQ(refusal("*" + std::string(63, 'a') + ".com").substr(0, 8), "accepted");
  std::string longest = "*";
  while (longest.size() < kMaxNameLength) longest += ".a";
  EXPECT_EQ(pattern(longest).text().size(), kMaxNameLength);
  EXPECT_THAT(refusal(longest + "b"), HasSubstr("at most 251"));
}

TEST(NamePattern, TellsItsKind) {
  EXPECT_TRUE(pattern("a.com").is_exact());
  EXPECT_FALSE(pattern("*.com").is_exact());
  EXPECT_TRUE(pattern("**.com").is_any_depth());
  EXPECT_FALSE(pattern("*.com").is_any_depth());
  for (const char* plain : {"*.com", "**.com", "**.a.com"}) EXPECT_TRUE(pattern(plain).is_plain_wildcard()) << plain;
  for (const char* glob : {"a.com", "*.*", "**.*", "**.*.com", "a*.com", "*a.com", "*.a.*.com", "a.*"}) {
    EXPECT_FALSE(pattern(glob).is_plain_wildcard()) << glob;
  }
}

TEST(NamePattern, FindsItsLiteralSuffix) {
  EXPECT_EQ(pattern("*.s3.*.amazonaws.com").literal_suffix(), "amazonaws.com");
  EXPECT_EQ(pattern("**.example.com").literal_suffix(), "example.com");
  EXPECT_EQ(pattern("a*b.com").literal_suffix(), "com");
  EXPECT_EQ(pattern("*.com*").literal_suffix(), "");
  EXPECT_EQ(pattern("a.com").literal_suffix(), "a.com");
}

TEST(NamePattern, SuspectsAForgottenDot) {
  EXPECT_TRUE(pattern("*example.com").has_suspicious_prefix());
  EXPECT_TRUE(pattern("*com").has_suspicious_prefix());
  for (const char* text :
       {"*.example.com", "**.example.com", "*-cdn.example.com", "*s3*.example.com", "a*.com", "a.*b.com"}) {
    EXPECT_FALSE(pattern(text).has_suspicious_prefix()) << text;
  }
}

TEST(NamePattern, TakesASearchSuffix) {
  EXPECT_EQ(pattern("*.example.com").with_suffix(name("corp.local")).text(), "*.example.com.corp.local");
  EXPECT_TRUE(pattern("a.com").with_suffix(name("corp")).matches(name("a.com.corp")));
  EXPECT_EQ(pattern("a.com").with_suffix(DomainName::from_normal("")).text(), "a.com");
}

}  // namespace
}  // namespace namewall
