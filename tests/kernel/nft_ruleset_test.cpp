// The table as the kernel and nft(8) show it.
#include "tests/kernel/support/nft_test.h"

namespace namewall::kernel_tests {
namespace {

class NftRuleset : public NftTest {
 protected:
  nft::RulesetPlan plan() const override { return {.depths = {2, 3}, .parent_depths = {2}, .redirects_dns = true}; }

  std::vector<nft::ListedRule> rules() {
    auto listed = nft::list_rules(table_->socket());
    if (!listed) ADD_FAILURE() << listed.error().message();
    return listed ? *listed : std::vector<nft::ListedRule>{};
  }
  std::vector<std::string> chains() {
    auto listed = nft::list_chain_names(table_->socket());
    if (!listed) ADD_FAILURE() << listed.error().message();
    return listed ? *listed : std::vector<std::string>{};
  }
};

TEST_F(NftRuleset, IsListedAsItWasSent) {
  EXPECT_THAT(nft::compare_rules(plan(), rules()), testing::IsEmpty());
  EXPECT_THAT(chains(), testing::UnorderedElementsAreArray(nft::expected_chains(plan())));
}

TEST_F(NftRuleset, AnotherRuleInAChainIsSeen) {
  run_command({"nft", "insert", "rule", "inet", "namewall", "output", "accept"});
  const auto differences = nft::compare_rules(plan(), rules());
  ASSERT_EQ(differences.size(), 1u);
  EXPECT_THAT(differences[0], testing::HasSubstr("chain output has"));
  EXPECT_THAT(differences[0], testing::HasSubstr("position 1"));
}

TEST_F(NftRuleset, AnotherPlanTakesItsPlaceAndLeavesTheElements) {
  const nft::RulesetPlan other{.depths = {1, 3, 4}, .parent_depths = {}, .redirects_dns = false};
  table_->change_plan(other);
  EXPECT_THAT(nft::compare_rules(other, rules()), testing::IsEmpty());
  EXPECT_THAT(chains(), testing::UnorderedElementsAreArray(nft::expected_chains(other)));
  EXPECT_EQ(table_->count(nft::SetId::kEnforced), 1u);
  table_->change_plan(plan());
  EXPECT_THAT(nft::compare_rules(plan(), rules()), testing::IsEmpty());
}

TEST_F(NftRuleset, NftListsIt) { run_command({"nft", "list", "ruleset"}); }

}  // namespace
}  // namespace namewall::kernel_tests
