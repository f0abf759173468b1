#include "policy/domain_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string normal(std::string_view text) {
  const auto name = DomainName::parse(text);
  return name ? name->text() : "error: " + name.error().what;
}

std::string refusal(std::string_view text) {
  const auto name = DomainName::parse(text);
  return name ? "accepted as " + name->text() : name.error().what;
}

std::string repeated(std::string_view piece, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += piece;
  return text;
}

TEST(DomainName, FoldsCaseAndOneTrailingDot) {
  EXPECT_EQ(normal("Registry.NPMJS.org."), "registry.npmjs.org");
  EXPECT_EQ(normal("com"), "com");
  EXPECT_EQ(normal("_sip._tcp.example-1.com"), "_sip._tcp.example-1.com");
}

TEST(DomainName, StoresOtherScriptsAsAscii) {
  EXPECT_EQ(normal("bücher.example"), "xn--bcher-kva.example");
  EXPECT_EQ(normal("BÜCHER.example."), "xn--bcher-kva.example");
  EXPECT_EQ(normal("bu\u0308cher.example"), "xn--bcher-kva.example");
  EXPECT_EQ(normal("_dav.bücher.example"), "_dav.xn--bcher-kva.example");
  EXPECT_EQ(normal("例え。テスト"), "xn--r8jz45g.xn--zckzah");
}

TEST(DomainName, KeepsDeviationCharactersAsNonTransitionalProcessingSays) {
  EXPECT_EQ(normal("faß.de"), "xn--fa-hia.de");
}

TEST(DomainName, KeepsAsciiLabelsThatLookLikeIdna) { EXPECT_EQ(normal("XN--anything-1.de"), "xn--anything-1.de"); }

TEST(DomainName, ChecksTheResultOfTheConversionLikeAnythingElse) {
  EXPECT_THAT(refusal("example.com／path"), HasSubstr("found `/`"));
  EXPECT_THAT(refusal("＊.example.com"), HasSubstr("found `*`"));
}

TEST(DomainName, RefusesWhatIsNotUtf8OrNotAllowedByIdna) {
  EXPECT_THAT(refusal("b\xfc"
                      "cher.example"),
              HasSubstr("IDNA"));
  EXPECT_THAT(refusal("a\u2028b.example"), HasSubstr("IDNA"));
  EXPECT_THAT(refusal(repeated("ü", 600)), HasSubstr("IDNA"));
}

TEST(DomainName, RefusesEmptyNamesAndEmptyLabels) {
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal("."), HasSubstr("root"));
  for (const char* text : {"a..b", ".a", "a..", ".."}) EXPECT_THAT(refusal(text), HasSubstr("label empty")) << text;
}

TEST(DomainName, RefusesCharactersThatTheQuestionCheckDoesNotAccept) {
  EXPECT_THAT(refusal("a b.com"), HasSubstr("found ` `"));
  EXPECT_THAT(refusal("a*.com"), HasSubstr("found `*`"));
  EXPECT_THAT(refusal("user@host.com"), HasSubstr("found `@`"));
  EXPECT_THAT(refusal("host%41.com"), HasSubstr("found `%`"));
  EXPECT_THAT(refusal("a\x1b.com"), HasSubstr("found `\\x1b`"));
  EXPECT_THAT(refusal(std::string_view("a\0.com", 6)), HasSubstr("found `\\x00`"));
  EXPECT_THAT(refusal(std::string_view("ü\0.com", 7)), HasSubstr("zero byte"));
}

TEST(DomainName, BoundsLabelsAndNames) {
  EXPECT_EQ(normal(repeated("a", 63) + ".com").size(), 67U);
  EXPECT_THAT(refusal(repeated("a", 64) + ".com"), HasSubstr("more than 63"));
  const std::string longest = repeated("abcdefghi.", 25) + "x";
  ASSERT_EQ(longest.size(), kMaxNameLength);
  EXPECT_EQ(normal(longest + "."), longest);
  EXPECT_THAT(refusal(longest + "y"), HasSubstr("at most 251 characters, this one has 252"));
}

TEST(DomainName, SplitsIntoLabels) {
  EXPECT_THAT(DomainName::from_normal("a.bc.d").labels(), ElementsAre("a", "bc", "d"));
  EXPECT_EQ(DomainName::from_normal("a.bc.d").label_count(), 3U);
  EXPECT_THAT(DomainName::from_normal("com").labels(), ElementsAre("com"));
  EXPECT_THAT(DomainName::from_normal("").labels(), IsEmpty());
  EXPECT_EQ(DomainName::from_normal("").label_count(), 0U);
}

}  // namespace
}  // namespace namewall
