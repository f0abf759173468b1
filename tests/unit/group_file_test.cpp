#include "policy/group_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "policy/host_loader.h"
#include "policy/policy_loader.h"

namespace namewall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> lines_of_group_diagnostics(const std::vector<Diagnostic>& diagnostics) {
  std::vector<std::string> out;
  for (const Diagnostic& diagnostic : diagnostics) out.push_back(diagnostic.to_string());
  return out;
}

GroupText shipped(const std::string& text, const std::string& file) {
  const auto loaded = load_group_file(text, Format::kToml, file);
  EXPECT_TRUE(loaded.ok()) << lines_of_group_diagnostics(loaded.diagnostics).front();
  return loaded.value;
}

std::vector<Group> shipped_groups() {
  std::vector<Diagnostic> diagnostics;
  return resolve_groups(
      {shipped("name = \"npm\"\nversion = 3\nallow = [\n  \"https://registry.example\",\n]\n", "npm.toml"),
       shipped("name = \"yarn\"\nversion = 1\nallow = [\"@npm\", \"yarn.example\"]\n", "yarn.toml")},
      {}, diagnostics);
}

Loaded<Policy> policy_with(const std::string& lines, const std::vector<Group>& groups) {
  return load_policy("name = \"a\"\n" + lines, Format::kToml, "p.toml", {}, {groups, {}, {}});
}

std::vector<std::string> rules_with_source(const std::vector<Rule>& rules) {
  std::vector<std::string> out;
  for (const Rule& rule : rules) {
    out.push_back(to_canonical_string(rule.endpoint) + " " + rule.from + " " + rule.origin.to_string());
  }
  return out;
}

TEST(GroupFile, RulesOfAGroupTakeThePlaceOfItsName) {
  const auto loaded = policy_with("allow = [\"a.example\", \"@yarn\"]\n", shipped_groups());
  ASSERT_THAT(lines_of_group_diagnostics(loaded.diagnostics), IsEmpty());
  EXPECT_THAT(rules_with_source(loaded.value.allow),
              ElementsAre("tcp://a.example:443  p.toml:2:10", "tcp://registry.example:443 @yarn npm.toml:4:3",
                          "tcp://yarn.example:443 @yarn yarn.toml:3:18"));
}

TEST(GroupFile, ABareHostOfAGroupMeansWhatTheListMakesOfIt) {
  const auto loaded = policy_with("deny = [\"@yarn\"]\n", shipped_groups());
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.value.deny[1].endpoint.ports, PortSet::all());
}

TEST(GroupFile, JsonAndArgumentsTakeGroups) {
  const std::vector<Group> groups = shipped_groups();
  EXPECT_EQ(load_policy(R"({"name": "a", "allow": ["@npm"]})", Format::kJson, "p.json", {}, {groups, {}, {}})
                .value.allow.size(),
            1u);
  EXPECT_EQ(load_policy_arguments({"@npm"}, {}, {groups, {}, {}}).value.allow.size(), 1u);
}

TEST(GroupFile, ARuleThatIsThereAlreadyIsLeftOut) {
  const auto loaded = policy_with("allow = [\"https://registry.example\", \"@npm\", \"@yarn\"]\n", shipped_groups());
  ASSERT_THAT(lines_of_group_diagnostics(loaded.diagnostics), IsEmpty());
  EXPECT_EQ(loaded.value.allow.size(), 2u);
}

TEST(GroupFile, AnUnknownGroupIsAnErrorThatListsTheOthers) {
  EXPECT_THAT(lines_of_group_diagnostics(policy_with("allow = [\"@npn\"]\n", shipped_groups()).diagnostics),
              ElementsAre("p.toml:2:10: error: \"@npn\" is no group; did you mean `@npm`? accepted: @npm, @yarn"));
  EXPECT_THAT(lines_of_group_diagnostics(policy_with("allow = [\"@npm\"]\n", {}).diagnostics),
              ElementsAre("p.toml:2:10: error: \"@npm\" is no group; this host has none: no files in "
                          "/usr/share/namewall/groups, or where NAMEWALL_GROUPS points, and no [groups] in host.toml"));
}

TEST(GroupFile, SaysWhatIsWrongWithAFile) {
  EXPECT_THAT(lines_of_group_diagnostics(
                  load_group_file("name = \"A\"\nversion = \"1\"\n", Format::kToml, "g.toml").diagnostics),
              ElementsAre(HasSubstr("g.toml:1:1: error: `name` is missing"),
                          HasSubstr("g.toml:1:1: error: `version` is missing"), HasSubstr("`allow` is missing"),
                          HasSubstr("g.toml:1:8: error: a group is called \"A\"; accepted: 1 to 63"),
                          HasSubstr("g.toml:2:11: error: `version` is a string")));
}

TEST(GroupFile, GroupsOfTheHostMayNameShippedOnesAndComeBeforeThem) {
  const std::vector<Group> groups = shipped_groups();
  const auto host = load_host_policy("[groups]\nmine = [\"https://m.example\", \"@npm\"]\nnpm = [\"n.example\"]\n",
                                     Format::kToml, "host.toml", {groups, {}, {}});
  ASSERT_THAT(lines_of_group_diagnostics(host.diagnostics), IsEmpty());
  std::vector<Group> all = host.value.groups;
  all.insert(all.end(), groups.begin(), groups.end());
  EXPECT_THAT(rules_with_source(policy_with("allow = [\"@mine\"]\n", all).value.allow),
              ElementsAre("tcp://m.example:443 @mine host.toml:2:9", "tcp://n.example:443 @mine host.toml:3:8"));
}

TEST(GroupFile, TheHostMayDenyAGroup) {
  const auto host =
      load_host_policy("deny = [\"@mine\"]\n[groups]\nmine = [\"m.example\"]\n", Format::kToml, "host.toml");
  ASSERT_THAT(lines_of_group_diagnostics(host.diagnostics), IsEmpty());
  EXPECT_THAT(rules_with_source(host.value.deny), ElementsAre("m.example @mine host.toml:3:9"));
}

TEST(GroupFile, ACycleIsAnError) {
  EXPECT_THAT(lines_of_group_diagnostics(
                  load_host_policy("[groups]\na = [\"@b\"]\nb = [\"@a\"]\n", Format::kToml, "host.toml").diagnostics),
              ElementsAre("host.toml:3:6: error: `@a` contains itself"));
}

TEST(GroupFile, NestingIsBounded) {
  std::string text = "[groups]\n";
  for (int i = 0; i < 12; ++i) text += "g" + std::to_string(i) + " = [\"@g" + std::to_string(i + 1) + "\"]\n";
  text += "g12 = [\"a.example\"]\n";
  EXPECT_THAT(lines_of_group_diagnostics(load_host_policy(text, Format::kToml, "host.toml").diagnostics),
              ElementsAre(HasSubstr("groups are nested more than 8 deep at `@g8`")));
}

TEST(GroupFile, ManyReferencesDoNotMultiplyTheRules) {
  std::string text = "[groups]\nbase = [";
  for (int i = 0; i < 9000; ++i) text += "\"h" + std::to_string(i) + ".example\",";
  text += "]\n";
  for (int i = 0; i < 200; ++i)
    text += "g" + std::to_string(i) + " = [\"@base\", \"x" + std::to_string(i) + ".example\"]\n";
  const auto host = load_host_policy(text, Format::kToml, "host.toml");
  ASSERT_TRUE(host.ok());
  std::string allow = "allow = [";
  for (int i = 0; i < 200; ++i) allow += "\"@g" + std::to_string(i) + "\",";
  EXPECT_EQ(policy_with(allow + "]\n", host.value.groups).value.allow.size(), 9200u);
}

TEST(GroupFile, TheShippedFilesAreGroups) {
  for (const std::string name : {"npm", "pypi", "debian", "github"}) {
    std::ifstream file(std::string(NAMEWALL_SOURCE_DIR) + "/deploy/groups/" + name + ".toml");
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    EXPECT_TRUE(is_group_file(text, Format::kToml)) << name;
    EXPECT_EQ(shipped(text, name).name, name);
  }
  EXPECT_FALSE(is_group_file("name = \"a\"\nallow = [\"b.example\"]\n", Format::kToml));
}

TEST(PolicyExpectations, AreReadWithTheirPlace) {
  const auto loaded = policy_with(
      "allow = [\"a.example\"]\n[[expect]]\ntarget = \"a.example\"\nallowed = true\n[[expect]]\ntarget = "
      "\"udp://192.0.2.1:53\"\nallowed = false\n",
      {});
  ASSERT_TRUE(loaded.ok());
  ASSERT_EQ(loaded.value.expect.size(), 2u);
  EXPECT_EQ(loaded.value.expect[0].origin.to_string(), "p.toml:4:10");
  EXPECT_FALSE(loaded.value.expect[1].allowed);
  const auto again = load_policy(to_canonical_toml(loaded.value), Format::kToml, "again");
  ASSERT_TRUE(again.ok());
  ASSERT_EQ(again.value.expect.size(), 2u);
  EXPECT_EQ(again.value.expect[1].target, "udp://192.0.2.1:53");
  EXPECT_TRUE(again.value.expect[0].allowed);
}

TEST(PolicyExpectations, NeedBothKeys) {
  EXPECT_THAT(lines_of_group_diagnostics(policy_with("[[expect]]\n[[expect]]\ntarget = 1\n", {}).diagnostics),
              ElementsAre("p.toml:2:1: error: `target` is missing in [[expect]]",
                          "p.toml:2:1: error: `allowed` is missing in [[expect]]: true or false",
                          "p.toml:3:1: error: `allowed` is missing in [[expect]]: true or false",
                          HasSubstr("`target` is an integer")));
}

}  // namespace
}  // namespace namewall
