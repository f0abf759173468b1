#include "agent/host/policy_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PolicyFolder : public ::testing::Test {
 protected:
  PolicyFolder() { std::filesystem::create_directory(folder_); }
  FolderContents read() const { return read_folder(folder_, directory_.file("host.toml")); }
  // "NAME TEXT", or "NAME: what is wrong"
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    for (const FileText& file : read().files) {
      lines.push_back(file.text ? file.name + " " + *file.text : file.name + ": " + file.text.error().message());
    }
    return lines;
  }
  void put(const std::string& name, const std::string& text) { put_into(folder_ + "/" + name, text); }

  TemporaryDirectory directory_;
  std::string folder_ = directory_.file("policies.d");
};

TEST_F(PolicyFolder, ReadsTomlAndJsonInOrderAndNothingElse) {
  for (const char* name : {"b.toml", "a.json", "c.toml~", "README", ".hidden.toml", "d.toml.dpkg-new"}) put(name, name);
  EXPECT_THAT(lines(), ElementsAre("a.json a.json", "b.toml b.toml"));
  EXPECT_FALSE(read().host);
  EXPECT_THAT(read().errors, IsEmpty());
}

TEST_F(PolicyFolder, IsEmptyWhereThereIsNone) {
  std::filesystem::remove(folder_);
  EXPECT_THAT(lines(), IsEmpty());
  EXPECT_THAT(read().errors, IsEmpty());
}

TEST_F(PolicyFolder, SaysWhereItIsNoFolder) {
  std::filesystem::remove(folder_);
  put_into(folder_, "");
  EXPECT_THAT(read().errors, ElementsAre(HasSubstr("cannot open the folder " + folder_)));
}

TEST_F(PolicyFolder, ReadsTheHostsFile) {
  put_into(directory_.file("host.toml"), "deny = []");
  ASSERT_TRUE(read().host);
  EXPECT_EQ(read().host->name, "host.toml");
  EXPECT_EQ(*read().host->text, "deny = []");
}

TEST_F(PolicyFolder, FollowsTheLinksOfAConfigMap) {
  std::filesystem::create_directory(folder_ + "/..1");
  put("..1/a.toml", "one");
  std::filesystem::create_symlink("..1", folder_ + "/..data");
  std::filesystem::create_symlink("..data/a.toml", folder_ + "/a.toml");
  EXPECT_THAT(lines(), ElementsAre("a.toml one"));
}

TEST_F(PolicyFolder, TakesALinkThatLeadsNowhereForNoFile) {
  std::filesystem::create_symlink("nowhere", folder_ + "/a.toml");
  EXPECT_THAT(lines(), IsEmpty());
}

TEST_F(PolicyFolder, RefusesWhatIsNoRegularFileWithoutWaiting) {
  ASSERT_EQ(mkfifo((folder_ + "/a.toml").c_str(), 0600), 0);
  std::filesystem::create_directory(folder_ + "/b.toml");
  std::filesystem::create_symlink("/dev/zero", folder_ + "/c.toml");
  EXPECT_THAT(lines(), ElementsAre("a.toml: a.toml is no regular file", "b.toml: b.toml is no regular file",
                                   "c.toml: c.toml is no regular file"));
}

TEST_F(PolicyFolder, TakesNoFileThatOthersMayWrite) {
  for (const char* name : {"a.toml", "b.toml"}) put(name, "allow = []");
  ASSERT_EQ(chmod((folder_ + "/a.toml").c_str(), 0646), 0);
  EXPECT_THAT(lines(), ElementsAre(HasSubstr("a.toml may be written by others"), "b.toml allow = []"));
}

TEST_F(PolicyFolder, TakesNothingFromAFolderThatOthersMayWrite) {
  put("a.toml", "allow = []");
  ASSERT_EQ(chmod(folder_.c_str(), 0777), 0);
  EXPECT_THAT(lines(), IsEmpty());
  EXPECT_THAT(read().errors, ElementsAre(HasSubstr("may be written by others")));
  ASSERT_EQ(chmod(folder_.c_str(), 01777), 0);
  EXPECT_THAT(read().errors, ElementsAre(HasSubstr("may be written by others")));
}

TEST_F(PolicyFolder, TakesNoHostFileThatOthersMayWrite) {
  put_into(directory_.file("host.toml"), "deny = []");
  ASSERT_EQ(chmod(directory_.file("host.toml").c_str(), 0666), 0);
  ASSERT_TRUE(read().host);
  EXPECT_FALSE(read().host->text);
}

TEST_F(PolicyFolder, BoundsTheSizeOfAFile) {
  put("a.toml", std::string(kMaxPolicyFile, '#'));
  put("b.toml", std::string(kMaxPolicyFile + 1, '#'));
  const FolderContents contents = read();
  ASSERT_EQ(contents.files.size(), 2u);
  EXPECT_TRUE(contents.files[0].text);
  ASSERT_FALSE(contents.files[1].text);
  EXPECT_EQ(contents.files[1].text.error().what, "b.toml is larger than 1 MiB");
}

TEST_F(PolicyFolder, BoundsTheNumberOfFiles) {
  for (std::size_t i = 0; i < kMaxPolicyFiles; ++i) put(std::to_string(i) + ".toml", "");
  EXPECT_EQ(read().files.size(), kMaxPolicyFiles);
  put("one-more.toml", "");
  EXPECT_THAT(read().files, IsEmpty());
  EXPECT_THAT(read().errors, ElementsAre(folder_ + " has more than 4096 policy files"));
}

TEST_F(PolicyFolder, EscapesOddNames) {
  put("a\x1b[2J.toml", "x");
  EXPECT_THAT(lines(), ElementsAre("a\\x1b[2J.toml x"));
}

}  // namespace
}  // namespace namewall::agent
