#include "agent/host/folder_watcher.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <optional>

#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

class WatchedFolder : public ::testing::Test {
 protected:
  WatchedFolder() { fs::create_directory(folder_); }

  void open() {
    auto watcher = FolderWatcher::open(folder_, host_);
    ASSERT_TRUE(watcher) << watcher.error().message();
    watcher_ = std::move(*watcher);
  }
  // Waits for one settled change.
  bool is_told_within(std::chrono::milliseconds limit) {
    const auto end = Clock::now() + limit;
    for (auto now = Clock::now(); now < end; now = Clock::now()) {
      pollfd waiting{watcher_->fd(), POLLIN, 0};
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - now).count() + 1;
      if (::poll(&waiting, 1, static_cast<int>(left)) == 0) return false;
      const Result<bool> consumed = watcher_->consume();
      EXPECT_TRUE(consumed);
      if (!consumed || *consumed) return consumed.has_value();
    }
    return false;
  }
  bool is_told() { return is_told_within(std::chrono::seconds(10)); }
  bool is_quiet() { return !is_told_within(3 * FolderWatcher::kSettle); }

  TemporaryDirectory directory_;
  std::string folder_ = directory_.file("policies.d");
  std::string host_ = directory_.file("host.toml");
  std::optional<FolderWatcher> watcher_;
};

TEST_F(WatchedFolder, TellsOfAFileThatIsWrittenRenamedOrRemovedOnceEach) {
  open();
  put_into(folder_ + "/a.toml", "one");
  EXPECT_TRUE(is_told());
  EXPECT_TRUE(is_quiet());
  put_into(folder_ + "/.a.toml.swp", "two");
  EXPECT_TRUE(is_quiet());
  fs::rename(folder_ + "/.a.toml.swp", folder_ + "/a.toml");
  EXPECT_TRUE(is_told());
  fs::remove(folder_ + "/a.toml");
  EXPECT_TRUE(is_told());
  EXPECT_TRUE(is_quiet());
}

TEST_F(WatchedFolder, TellsOfTheHostsFileButNotOfItsNeighbours) {
  open();
  put_into(directory_.file("unrelated"), "x");
  EXPECT_TRUE(is_quiet());
  put_into(host_, "x");
  EXPECT_TRUE(is_told());
}

TEST_F(WatchedFolder, TellsOfAnAttributeThatMakesAFileReadable) {
  put_into(folder_ + "/a.toml", "x");
  open();
  fs::permissions(folder_ + "/a.toml", fs::perms::owner_read);
  EXPECT_TRUE(is_told());
}

TEST_F(WatchedFolder, TakesTheSwapOfAConfigMapForOneChange) {
  fs::create_directory(folder_ + "/..1");
  put_into(folder_ + "/..1/a.toml", "one");
  fs::create_symlink("..1", folder_ + "/..data");
  fs::create_symlink("..data/a.toml", folder_ + "/a.toml");
  open();
  fs::create_directory(folder_ + "/..2");
  put_into(folder_ + "/..2/a.toml", "two");
  fs::create_symlink("..2", folder_ + "/..data_tmp");
  fs::rename(folder_ + "/..data_tmp", folder_ + "/..data");
  fs::remove_all(folder_ + "/..1");
  EXPECT_TRUE(is_told());
  EXPECT_EQ(contents_of(folder_ + "/a.toml"), "two");
  EXPECT_TRUE(is_quiet());
}

TEST_F(WatchedFolder, FollowsALinkOutOfTheFolder) {
  fs::create_directory(directory_.file("elsewhere"));
  put_into(directory_.file("elsewhere/real.toml"), "one");
  fs::create_symlink(directory_.file("elsewhere/real.toml"), folder_ + "/a.toml");
  open();
  put_into(directory_.file("elsewhere/real.toml"), "two");
  EXPECT_TRUE(is_told());
  put_into(directory_.file("elsewhere/other"), "x");
  EXPECT_TRUE(is_quiet());
}

TEST_F(WatchedFolder, FollowsAFolderThatIsSwapped) {
  fs::create_directories(directory_.file("v1"));
  fs::create_directories(directory_.file("v2"));
  fs::remove(folder_);
  fs::create_directory_symlink("v1", folder_);
  open();
  fs::create_directory_symlink("v2", directory_.file("tmp"));
  fs::rename(directory_.file("tmp"), folder_);
  EXPECT_TRUE(is_told());
  put_into(directory_.file("v2/a.toml"), "x");
  EXPECT_TRUE(is_told());
  put_into(directory_.file("v1/a.toml"), "x");
  EXPECT_TRUE(is_quiet());
}

TEST_F(WatchedFolder, WaitsForAFolderThatIsNotThereYet) {
  fs::remove(folder_);
  folder_ = directory_.file("etc/namewall/policies.d");
  open();
  fs::create_directories(folder_);
  EXPECT_TRUE(is_told());
  put_into(folder_ + "/a.toml", "x");
  EXPECT_TRUE(is_told());
}

TEST_F(WatchedFolder, TellsOfAChangeThatNeverSettlesAllTheSame) {
  open();
  const auto begin = Clock::now();
  bool is_told = false;
  while (!is_told && Clock::now() - begin < 10 * FolderWatcher::kLongest) {
    put_into(folder_ + "/a.toml", "x");
    is_told = is_told_within(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(is_told);
  EXPECT_GE(Clock::now() - begin, FolderWatcher::kLongest);
}

}  // namespace
}  // namespace namewall::agent
