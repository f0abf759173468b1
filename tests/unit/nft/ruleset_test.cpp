// The chains as values: prefixes, plans, and what the bytes of a rule are.
#include "nft/ruleset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "nft/rule_builder.h"

namespace namewall::nft {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

TEST(LogPrefix, IsReadAsItIsWritten) {
  for (const auto kind :
       {LogPrefix::Kind::kOut, LogPrefix::Kind::kIn, LogPrefix::Kind::kUnknown, LogPrefix::Kind::kOwn}) {
    for (const bool is_audit : {false, true}) {
      const LogPrefix prefix{kind, 12, is_audit};
      EXPECT_EQ(parse_prefix(to_prefix(prefix)), prefix) << to_prefix(prefix);
    }
  }
  EXPECT_EQ(to_prefix({LogPrefix::Kind::kOut, 2}), "namewall out 2");
  EXPECT_EQ(to_prefix({LogPrefix::Kind::kUnknown, 3, true}), "namewall unknown 3 audit");
}

TEST(LogPrefix, OtherTextIsNone) {
  for (const char* text : {"", "namewall", "namewall out", "namewall out ", "namewall out x", "namewall out 2x",
                           "namewall past 2", "iptables out 2", "namewall out 2 audit 3", "namewall out -1"})
    EXPECT_EQ(parse_prefix(text), std::nullopt) << text;
}

TEST(Rules, AreWhatTheKernelIsAskedToKeep) {
  const auto bytes =
      RuleBuilder("namewall", "c").load_cgroup(2, 0).require_in(SetId::kEnforced, 0).accept().expressions();
  // NFTA_LIST_ELEM { NAME "socket", DATA { KEY cgroupv2, DREG NFT_REG_1, LEVEL 2 } }, lookup, immediate.
  const std::vector<std::uint8_t> socket{0x2c, 0,    1, 0x80, 0x0b, 0, 1, 0, 's', 'o', 'c', 'k', 'e', 't', 0,
                                         0,    0x1c, 0, 2,    0x80, 8, 0, 1, 0,   0,   0,   0,   3,   8,   0,
                                         2,    0,    0, 0,    0,    1, 8, 0, 3,   0,   0,   0,   0,   2};
  ASSERT_GE(bytes.size(), socket.size());
  EXPECT_TRUE(std::equal(socket.begin(), socket.end(), bytes.begin()));
}

TEST(Rules, AnotherOrderOfAttributesIsTheSameRule) {
  const auto rule = RuleBuilder("namewall", "c").load_cgroup(2, 0).expressions();
  // As the kernel lists it: no flag of nested attributes.
  auto listed = rule;
  listed[3] = 0, listed[19] = 0;
  EXPECT_NE(listed, rule);
  EXPECT_EQ(in_own_order(listed), rule);
}

TEST(Plan, HasChainsForEachDepthAndNoOthers) {
  const auto chains = expected_chains({.depths = {2, 4}, .parent_depths = {4}, .redirects_dns = false});
  EXPECT_THAT(chains, Contains("enter_2"));
  EXPECT_THAT(chains, Contains("enter_4"));
  EXPECT_THAT(chains, Contains("unknown_5"));
  EXPECT_THAT(chains, Not(Contains("enter_3")));
  EXPECT_THAT(chains, Not(Contains("dns")));
  EXPECT_THAT(expected_chains({.depths = {2}, .parent_depths = {}, .redirects_dns = true}), Contains("dns"));
}

TEST(Plan, WithoutWorkloadsRefusesUnknownChildren) {
  const RulesetPlan plan{.depths = {}, .parent_depths = {1}, .redirects_dns = false};
  EXPECT_THAT(expected_chains(plan), Contains("unknown_2"));
}

TEST(Comparison, SaysWhichChainDiffers) {
  const RulesetPlan plan{.depths = {2}, .parent_depths = {}, .redirects_dns = false};
  auto rules = expected_rules(plan);
  EXPECT_THAT(compare_rules(plan, rules), IsEmpty());
  std::erase_if(rules, [](const ListedRule& rule) { return rule.chain == "refuse_2"; });
  EXPECT_THAT(compare_rules(plan, rules), ElementsAre(testing::HasSubstr("refuse_2")));
  rules = expected_rules(plan);
  rules.push_back({.chain = "foreign", .expressions = rules[0].expressions});
  EXPECT_THAT(compare_rules(plan, rules), ElementsAre(testing::HasSubstr("foreign")));
}

}  // namespace
}  // namespace namewall::nft
