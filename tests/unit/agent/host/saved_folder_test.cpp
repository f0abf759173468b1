#include "agent/host/saved_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

using testing::HasSubstr;

constexpr const char* kHost = "deny = [ \"evil.example\" ]\n";
constexpr const char* kBuilderText = "name = \"builder\"\ncgroup = \"/ci.slice/build\"\nallow = [ \"shop.example\" ]\n";
constexpr const char* kWider =
    "name = \"builder\"\ncgroup = \"/ci.slice/build\"\nallow = [ \"shop.example\", \"bank.example\" ]\n";

FolderContents contents(const std::string& builder) {
  FolderContents found;
  found.files.push_back({"builder.toml", builder});
  found.host = FileText{"host.toml", std::string(kHost)};
  return found;
}

FolderSnapshot first(const std::string& builder) { return next_snapshot(contents(builder), {}, {}, {}); }

FolderSnapshot restored(const SavedFolder& saved) {
  std::vector<std::string> sentences;
  FolderSnapshot folder = restore_folder(saved, {}, {}, sentences);
  EXPECT_THAT(sentences, testing::IsEmpty());
  return folder;
}

TEST(SavedFolder, KeepsAPolicyWhoseFileIsBrokenAtTheNextStart) {
  const FolderSnapshot before = first(kBuilderText);
  ASSERT_TRUE(before.ok()) << before.all_errors().front();
  const FolderSnapshot after = next_snapshot(contents("alow = []\n"), restored(saved_form_of(before, {})), {}, {});
  ASSERT_EQ(after.files.size(), 1u);
  EXPECT_EQ(after.files[0].state, FileState::kKept);
  EXPECT_EQ(*after.files[0].in_force->image, *before.files[0].in_force->image);
  EXPECT_THAT(after.files[0].errors.at(0), HasSubstr("builder.toml:1:1"));
}

TEST(SavedFolder, KeepsAPolicyWhoseFileIsGoneAtTheNextStart) {
  FolderContents empty;
  empty.host = contents("").host;
  const FolderSnapshot after = next_snapshot(empty, restored(saved_form_of(first(kBuilderText), {})), {}, {});
  ASSERT_EQ(after.files.size(), 1u);
  EXPECT_TRUE(after.files[0].is_gone);
  EXPECT_EQ(after.files[0].state, FileState::kKept);
}

TEST(SavedFolder, KeepsTheHostsDenialsWhenHostTomlIsBrokenAtTheNextStart) {
  const FolderSnapshot before = first(kBuilderText);
  FolderContents broken = contents(kBuilderText);
  broken.host->text = std::string("denny = []\n");
  const FolderSnapshot after = next_snapshot(broken, restored(saved_form_of(before, {})), {}, {});
  EXPECT_EQ(after.host.state, FileState::kKept);
  EXPECT_EQ(after.host.in_force->text, kHost);
  EXPECT_EQ(*after.files[0].in_force->image, *before.files[0].in_force->image);
}

TEST(SavedFolder, GivesWayToAFileThatSaysSomethingElse) {
  const FolderSnapshot after =
      next_snapshot(contents(kWider), restored(saved_form_of(first(kBuilderText), {})), {}, {});
  EXPECT_TRUE(after.ok());
  EXPECT_EQ(*after.files[0].in_force->image, *first(kWider).files[0].in_force->image);
}

TEST(SavedFolder, ReadsAnUnchangedFileAgainForItsPositions) {
  const FolderSnapshot after = next_snapshot(contents(std::string("# a comment\n") + kBuilderText),
                                             restored(saved_form_of(first(kBuilderText), {})), {}, {});
  EXPECT_EQ(after.files[0].in_force->policy.allow[0].origin.line, 4u);
}

TEST(SavedFolder, TellsOfWhatCannotBeUsedAnyMore) {
  SavedFolder saved = saved_form_of(first(kBuilderText), {});
  saved.files[0].policy_text = "from = \"a later version\"\n";
  std::vector<std::string> sentences;
  EXPECT_TRUE(restore_folder(saved, {}, {}, sentences).files.empty());
  EXPECT_THAT(sentences, testing::ElementsAre(HasSubstr("builder.toml")));
}

TEST(LiftedPlaces, StayLiftedUntilTheFileSaysSomethingElse) {
  const FolderSnapshot folder = first(kBuilderText);
  LiftedPlaces lifted;
  lifted.lift("/ci.slice/build", *folder.files[0].in_force);
  lifted = restore_lifted(saved_form_of(folder, lifted));
  const FolderSnapshot commented = next_snapshot(contents(std::string("# a comment\n") + kBuilderText), folder, {}, {});
  lifted.follow(commented);
  EXPECT_TRUE(lifted.contains("/ci.slice/build", *commented.files[0].in_force));
  const FolderSnapshot changed = next_snapshot(contents(kWider), folder, {}, {});
  EXPECT_FALSE(lifted.contains("/ci.slice/build", *changed.files[0].in_force));
  lifted.follow(changed);
  EXPECT_TRUE(lifted.by_cgroup().empty());
}

TEST(LiftedPlaces, EndWithACgroupThatAGlobMatched) {
  const FolderSnapshot folder = first(
      "name = \"builder\"\ncgroup = [ \"/ci.slice/build\", \"/jobs.slice/job-*\" ]\nallow = [ \"shop.example\" ]\n");
  ASSERT_TRUE(folder.ok()) << folder.all_errors().front();
  LiftedPlaces lifted;
  lifted.lift("/ci.slice/build", *folder.files[0].in_force);
  lifted.lift("/jobs.slice/job-1", *folder.files[0].in_force);
  EXPECT_FALSE(lifted.note_gone("/ci.slice/build", folder));
  EXPECT_TRUE(lifted.note_gone("/jobs.slice/job-1", folder));
  EXPECT_FALSE(lifted.note_gone("/never/lifted", folder));
  EXPECT_EQ(lifted.by_cgroup().size(), 1u);
}

TEST(SavedFolder, RemembersTheGroupsInUseSoThatAnUpgradeWhileNoDaemonRunsIsTold) {
  const auto groups_with = [](const std::string& version, const std::vector<std::string>& endpoints) {
    std::vector<Group> groups{{"npm", version, {}, {}}, {"unused", "1", {}, {}}};
    for (const std::string& text : endpoints) {
      groups[0].rules.push_back({*parse_endpoint(text, EndpointUse::kAllow), {}, ""});
    }
    return groups;
  };
  FolderContents folder;
  folder.files.push_back({"b.toml", "name = \"b\"\ncgroup = \"/b\"\nallow = [\"@npm\"]\n"});
  const std::vector<Group> older = groups_with("3", {"https://a.example"});
  const std::vector<Group> newer = groups_with("4", {"https://a.example", "https://x.example"});
  const SavedFolder saved = saved_form_of(next_snapshot(folder, {}, {}, {}, std::nullopt, {older, {}, {}}), {});
  ASSERT_EQ(saved.groups.size(), 1u);
  EXPECT_EQ(saved.groups[0].endpoints, std::vector<std::string>{"tcp://a.example:443"});
  SavedState state;
  state.folder = saved;
  const auto read = saved_state_from_json(saved_state_to_json(state));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->folder, saved);
  const FolderSnapshot after = next_snapshot(folder, restored(read->folder), {}, {}, std::nullopt, {newer, {}, {}});
  EXPECT_EQ(after.group_changes, std::vector<std::string>{"group @npm 3 -> 4 opens `tcp://x.example:443`"});
}

}  // namespace
}  // namespace namewall::agent
