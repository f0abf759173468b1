#include "agent/doctor_marks.h"

#include <gmock/gmock.h>

namespace namewall::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

// The ruleset with one rule of these statements, as nft 1.0.6 prints it.
auto rules_with(const std::string& statements) {
  return find_nft_mark_rules(R"({"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "ip"}},
      {"rule": {"family": "ip", "table": "t", "chain": "c", "handle": 4, "expr": [)" +
                             statements + "]}}]}");
}
constexpr char kMark[] = R"({"meta": {"key": "mark"}})";
std::string set_mark(const std::string& value) {
  return R"({"mangle": {"key": )" + std::string(kMark) + R"(, "value": )" + value + "}}";
}

TEST(NftMarkRules, ThatCompareTheWholeMarkAreListed) {
  EXPECT_THAT(rules_with(R"({"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}}, {"accept": null})"),
              Optional(ElementsAre("ip t c, handle 4")));
}

TEST(NftMarkRules, ThatLookAtLowBitsOnlyAreNot) {
  const auto match = [](const std::string& mask) {
    return R"({"match": {"op": "==", "left": {"&": [{"meta": {"key": "mark"}}, )" + mask + R"(]}, "right": 0}})";
  };
  EXPECT_THAT(rules_with(match("16384")), Optional(IsEmpty()));
  EXPECT_THAT(rules_with(match("65536")), Optional(ElementsAre("ip t c, handle 4")));
}

TEST(NftMarkRules, ThatSetHighBitsAreListed) {
  EXPECT_THAT(rules_with(set_mark("1")), Optional(testing::SizeIs(1))) << "the others become 0";
  EXPECT_THAT(rules_with(set_mark(R"({"|": [{"meta": {"key": "mark"}}, 16384]})")), Optional(IsEmpty()))
      << "kube-proxy";
  EXPECT_THAT(rules_with(set_mark(R"({"|": [{"meta": {"key": "mark"}}, 65536]})")), Optional(testing::SizeIs(1)));
  EXPECT_THAT(rules_with(set_mark(R"({"^": [{"meta": {"key": "mark"}}, 16384]})")), Optional(IsEmpty()));
  EXPECT_THAT(rules_with(set_mark(R"({"&": [{"meta": {"key": "mark"}}, 4294901760]})")), Optional(IsEmpty()));
  EXPECT_THAT(rules_with(set_mark(R"({"&": [{"meta": {"key": "mark"}}, 255]})")), Optional(testing::SizeIs(1)));
  EXPECT_THAT(rules_with(set_mark(R"({"ct": {"key": "mark"}})")), Optional(testing::SizeIs(1)));
}

TEST(NftMarkRules, ThatKeepTheMarkElsewhereAreListed) {
  EXPECT_THAT(rules_with(R"({"mangle": {"key": {"ct": {"key": "mark"}}, "value": {"meta": {"key": "mark"}}}})"),
              Optional(testing::SizeIs(1)));
  EXPECT_THAT(rules_with(R"({"mangle": {"key": {"ct": {"key": "mark"}}, "value": 5}})"), Optional(IsEmpty()));
}

TEST(NftMarkRules, OfIptablesAreListedWithoutTheirBits) {
  EXPECT_THAT(rules_with(R"({"xt": {"type": "match", "name": "mark"}})"), Optional(testing::SizeIs(1)));
  EXPECT_THAT(rules_with(R"({"xt": {"type": "target", "name": "MASQUERADE"}})"), Optional(IsEmpty()));
}

TEST(NftMarkRules, AreNotFoundInWhatIsNoRuleset) {
  EXPECT_EQ(find_nft_mark_rules(""), std::nullopt);
  EXPECT_EQ(find_nft_mark_rules("[]"), std::nullopt);
  EXPECT_THAT(find_nft_mark_rules(R"({"nftables": [1, {"rule": 2}, {"rule": {}}]})"), Optional(IsEmpty()));
}

}  // namespace
}  // namespace namewall::agent
