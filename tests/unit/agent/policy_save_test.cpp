#include "agent/policy_save.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "policy/policy_loader.h"
#include "tests/unit/agent/event_builder.h"
#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

std::size_t entries_in(const std::string& directory) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++count;
  return count;
}

TEST(PolicySave, WritesTheFileWholeAndLeavesNothingElse) {
  const TemporaryDirectory directory;
  auto save = PolicySave::open(directory.file("builder.toml"));
  ASSERT_TRUE(save.has_value());
  EXPECT_EQ(entries_in(directory.file("")), 0u);  // nothing before the end
  ASSERT_TRUE(save->write("text\n").has_value());
  EXPECT_EQ(contents_of(directory.file("builder.toml")), "text\n");
  EXPECT_EQ(entries_in(directory.file("")), 1u);
}

TEST(PolicySave, RefusesAFileWithContentsBeforeTheRun) {
  const TemporaryDirectory directory;
  put_into(directory.file("builder.toml"), "mine");
  const auto save = PolicySave::open(directory.file("builder.toml"));
  ASSERT_FALSE(save.has_value());
  EXPECT_EQ(save.error().kind, ErrorKind::kConflict);
  EXPECT_NE(save.error().what.find("does not overwrite"), std::string::npos);
  EXPECT_EQ(contents_of(directory.file("builder.toml")), "mine");
}

TEST(PolicySave, RefusesAFileThatAppearedDuringTheRun) {
  const TemporaryDirectory directory;
  const auto save = PolicySave::open(directory.file("builder.toml"));
  ASSERT_TRUE(save.has_value());
  put_into(directory.file("builder.toml"), "planted");
  EXPECT_FALSE(save->write("text").has_value());
  EXPECT_EQ(contents_of(directory.file("builder.toml")), "planted");
  EXPECT_EQ(entries_in(directory.file("")), 1u);
}

TEST(PolicySave, ReplacesAnEmptyFile) {
  const TemporaryDirectory directory;
  put_into(directory.file("builder.toml"), "");
  const auto save = PolicySave::open(directory.file("builder.toml"));
  ASSERT_TRUE(save.has_value());
  ASSERT_TRUE(save->write("text").has_value());
  EXPECT_EQ(contents_of(directory.file("builder.toml")), "text");
}

TEST(PolicySave, FollowsNoLinkThatTheCommandHasPlanted) {
  const TemporaryDirectory directory;
  const TemporaryDirectory elsewhere;
  put_into(elsewhere.file("target"), "");
  const auto save = PolicySave::open(directory.file("builder.toml"));
  ASSERT_TRUE(save.has_value());
  ASSERT_EQ(symlink(elsewhere.file("target").c_str(), directory.file("builder.toml").c_str()), 0);
  EXPECT_FALSE(save->write("text").has_value());
  EXPECT_EQ(contents_of(elsewhere.file("target")), "");
}

TEST(PolicySave, KeepsToTheDirectoryThatWasThereAtTheStart) {
  const TemporaryDirectory base;
  std::filesystem::create_directory(base.file("out"));
  std::filesystem::create_directory(base.file("cron.d"));
  const auto save = PolicySave::open(base.file("out/builder.toml"));
  ASSERT_TRUE(save.has_value());
  std::filesystem::rename(base.file("out"), base.file("moved"));
  std::filesystem::create_directory_symlink(base.file("cron.d"), base.file("out"));
  ASSERT_TRUE(save->write("text").has_value());
  EXPECT_EQ(entries_in(base.file("cron.d")), 0u);
  EXPECT_EQ(contents_of(base.file("moved/builder.toml")), "text");
}

TEST(PolicySave, RefusesADirectoryAndAMissingDirectory) {
  const TemporaryDirectory directory;
  EXPECT_FALSE(PolicySave::open(directory.file("")).has_value());
  EXPECT_FALSE(PolicySave::open(directory.file("missing/builder.toml")).has_value());
}

TEST(SavedPolicy, LoadsAgainAndHasTheRefusalsAsCommentsOnce) {
  const auto policy = load_policy_arguments({"registry.npmjs.org"}, {});
  ASSERT_TRUE(policy.ok());
  RefusalTally tally;
  for (int i = 0; i < 6; ++i) tally.add(refused_lookup("github.com"), false);
  tally.add(refused_connect(kExample4, 443, "github.com"), true);  // quic: not worth a line
  tally.add(refused_lookup("a\nallow = [\"*://*:*\"]"), false);    // a name that no rule can name
  const std::string text = saved_policy_text(policy.value, tally, "/x/y/.my Builder.v2.toml");
  EXPECT_NE(text.find("\n#   \"https://github.com\",  # x6 lookup: no rule names it\n"), std::string::npos) << text;
  const auto loaded = load_policy(text, Format::kToml, "saved.toml");
  ASSERT_TRUE(loaded.ok()) << (loaded.diagnostics.empty() ? "" : loaded.diagnostics[0].to_string()) << "\n" << text;
  EXPECT_EQ(loaded.value.name, "mybuilderv2");
  EXPECT_EQ(loaded.value.allow.size(), 1u);
}

}  // namespace
}  // namespace namewall::agent
