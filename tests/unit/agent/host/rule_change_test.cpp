#include "agent/host/rule_change.h"

#include <gtest/gtest.h>

#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

Policy policy() {
  auto loaded =
      load_policy("name = \"job\"\nallow = [ \"a.example\", \"tcp://b.example:22\" ]\ndeny = [ \"c.example\" ]\n",
                  Format::kToml, "job.toml");
  EXPECT_TRUE(loaded.ok());
  return loaded.value;
}

std::vector<std::string> texts(const std::vector<Rule>& rules) {
  std::vector<std::string> texts;
  for (const Rule& rule : rules) texts.push_back(to_canonical_string(rule.endpoint));
  return texts;
}

TEST(RuleChange, AddsAndRemovesRulesAndReadsBack) {
  RuleChange change;
  change.add_allow = {"d.example:8443"};
  change.remove_allow = {"a.example"};
  change.add_deny = {"192.0.2.0/24"};
  change.remove_deny = {"c.example"};
  const auto text = apply_rule_change(policy(), change);
  ASSERT_TRUE(text) << text.error().message();
  const auto changed = load_policy(*text, Format::kToml, "job");
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(texts(changed.value.allow), (std::vector<std::string>{"tcp://b.example:22", "tcp://d.example:8443"}));
  EXPECT_EQ(changed.value.deny.size(), 1u);
  EXPECT_EQ(changed.value.name, "job");
}

TEST(RuleChange, ARuleMayBeNamedInItsCanonicalForm) {
  RuleChange change;
  change.remove_allow = {to_canonical_string(policy().allow[0].endpoint)};
  const auto text = apply_rule_change(policy(), change);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->find("a.example"), std::string::npos);
}

TEST(RuleChange, AddingWhatIsThereChangesNothing) {
  RuleChange change;
  change.add_allow = {"https://a.example"};
  const auto text = apply_rule_change(policy(), change);
  ASSERT_TRUE(text);
  EXPECT_EQ(load_policy(*text, Format::kToml, "job").value.allow.size(), 2u);
}

TEST(RuleChange, EveryMistakeIsTold) {
  RuleChange change;
  change.add_allow = {"*", "tcp://x.example"};
  const auto wrong = apply_rule_change(policy(), change);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(wrong.error().what.find('\n'), std::string::npos);
}

TEST(RuleChange, ARuleThatIsNotThereIsNotFound) {
  RuleChange change;
  change.remove_allow = {"nowhere.example"};
  const auto wrong = apply_rule_change(policy(), change);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(wrong.error().what, "`allow` has no rule `nowhere.example`");
}

}  // namespace
}  // namespace namewall::agent
