// Real cgroups: that inotify tells of them, how soon, and that ids tell two of one name apart.
#include "agent/host/cgroup_watcher.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include "bpf/cgroup_handle.h"
#include "tests/kernel/support/throwaway_cgroup.h"

namespace namewall::kernel_tests {
namespace {

using agent::CgroupChanges;
using agent::CgroupWatcher;
using Clock = std::chrono::steady_clock;

class WatchedCgroups : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto root = agent::find_cgroup_root();
    ASSERT_TRUE(root) << root.error().message();
    ASSERT_TRUE(parent_.path().starts_with(*root));
    path_ = parent_.path().substr(*root == "/" ? 0 : root->size());
    auto watcher = CgroupWatcher::open();
    ASSERT_TRUE(watcher) << watcher.error().message();
    watcher_ = std::move(*watcher);
    watcher_->watch({*CgroupPattern::parse(path_ + "/*")});
  }
  void TearDown() override {
    for (const std::string& name : made_) ::rmdir(name.c_str());
  }
  std::string make(const std::string& name) {
    const std::string directory = parent_.path() + "/" + name;
    EXPECT_EQ(::mkdir(directory.c_str(), 0755), 0) << directory;
    made_.push_back(directory);
    return directory;
  }
  CgroupChanges wait() {
    pollfd waiting{watcher_->fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 5000), 1);
    return watcher_->consume();
  }

  ThrowawayCgroup parent_;
  std::string path_;
  std::optional<CgroupWatcher> watcher_;
  std::vector<std::string> made_;
};

TEST_F(WatchedCgroups, AppearWithTheIdThatTheKernelKnowsThemBy) {
  const std::string directory = make("child");
  const CgroupChanges changes = wait();
  ASSERT_EQ(changes.appeared.size(), 1u);
  EXPECT_EQ(changes.appeared[0].path, path_ + "/child");
  const OwnedFd opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto identity = bpf::identify_cgroup(opened.get());
  ASSERT_TRUE(identity);
  EXPECT_EQ(changes.appeared[0].id, identity->id);
}

TEST_F(WatchedCgroups, AreOthersWhenTheyAreMadeAnew) {
  const std::string directory = make("child");
  const auto first = wait().appeared;
  ASSERT_EQ(::rmdir(directory.c_str()), 0);
  make("child");
  const CgroupChanges changes = wait();
  ASSERT_EQ(changes.appeared.size(), 1u);
  EXPECT_EQ(changes.vanished, first);
  EXPECT_EQ(changes.appeared[0].path, first[0].path);
  EXPECT_NE(changes.appeared[0].id, first[0].id);
}

TEST_F(WatchedCgroups, VanishWithTheirDirectory) {
  const std::string directory = make("child");
  const auto first = wait().appeared;
  ASSERT_EQ(::rmdir(directory.c_str()), 0);
  EXPECT_EQ(wait().vanished, first);
}

TEST_F(WatchedCgroups, CostAWatchForEachDirectoryOnTheWay) {
  const auto depth = static_cast<std::size_t>(std::count(path_.begin(), path_.end(), '/'));
  EXPECT_EQ(watcher_->watch_count(), depth + 1);
}

TEST_F(WatchedCgroups, AreToldOfWithinMilliseconds) {
  std::vector<double> milliseconds;
  for (int i = 0; i < 200; ++i) {
    const std::string name = "latency-" + std::to_string(i);
    Clock::time_point begin;
    std::thread maker([&] { begin = Clock::now(), make(name); });
    const CgroupChanges changes = wait();
    const auto end = Clock::now();
    maker.join();
    ASSERT_EQ(changes.appeared.size(), 1u);
    milliseconds.push_back(std::chrono::duration<double, std::milli>(end - begin).count());
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  std::printf(
      "a cgroup is told of within %.3f ms (median of 200), %.3f ms (p99), %.3f ms (worst), from before its mkdir\n",
      milliseconds[100], milliseconds[198], milliseconds[199]);
  EXPECT_LT(milliseconds[100], 50.0);
}

// Cgroups come and go in another thread while the watcher starts to look at their parent, again and again.
TEST_F(WatchedCgroups, AreNotMissedBetweenScanAndWatch) {
  for (int round = 0; round < 50; ++round) {
    auto late = CgroupWatcher::open();
    ASSERT_TRUE(late);
    const std::string prefix = "race-" + std::to_string(round) + "-";
    std::thread maker([&] {
      for (int i = 0; i < 20; ++i) make(prefix + std::to_string(i));
    });
    const auto pattern = CgroupPattern::parse(path_ + "/" + prefix + "*");
    std::size_t seen = 0;
    const auto count = [&](const CgroupChanges& changes) {
      for (const ExistingCgroup& cgroup : changes.appeared) seen += pattern->matches(cgroup.path);
    };
    count(late->watch({*pattern}));
    maker.join();
    count(late->consume());
    ASSERT_EQ(seen, 20u) << "round " << round;
  }
}

}  // namespace
}  // namespace namewall::kernel_tests
