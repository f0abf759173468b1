// On directories of a file system that also knows rename; cgroups themselves: tests/kernel/cgroup_watcher_test.cpp.
#include "agent/host/cgroup_watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

class WatchedTree : public ::testing::Test {
 protected:
  WatchedTree() : watcher_(*CgroupWatcher::open_at(root_)) {}

  static std::string make_root(const TemporaryDirectory& directory) {
    fs::create_directory(directory.file("root"));
    return directory.file("root");
  }
  void make(const std::string& path) { fs::create_directories(root_ + path); }
  void remove(const std::string& path) { fs::remove_all(root_ + path); }
  CgroupChanges watch(const std::vector<std::string>& texts) {
    std::vector<CgroupPattern> patterns;
    for (const std::string& text : texts) patterns.push_back(*CgroupPattern::parse(text));
    return watcher_.watch(patterns);
  }
  // "+/a" appeared, "-/a" vanished, in their order
  static std::vector<std::string> lines_of(const CgroupChanges& changes) {
    std::vector<std::string> lines;
    for (const ExistingCgroup& cgroup : changes.vanished) lines.push_back("-" + cgroup.path);
    for (const ExistingCgroup& cgroup : changes.appeared) lines.push_back("+" + cgroup.path);
    return lines;
  }
  std::vector<std::string> consume() { return lines_of(watcher_.consume()); }
  std::vector<std::string> known() const {
    std::vector<std::string> paths;
    for (const ExistingCgroup& cgroup : watcher_.existing()) paths.push_back(cgroup.path);
    return paths;
  }

  TemporaryDirectory directory_;
  std::string root_ = make_root(directory_);
  CgroupWatcher watcher_;
};

TEST_F(WatchedTree, FindsWhatIsThereParentsFirst) {
  make("/ci/a");
  make("/ci/b/below");
  make("/other/x");
  EXPECT_THAT(lines_of(watch({"/ci/*"})), ElementsAre("+/ci", "+/ci/a", "+/ci/b"));
  EXPECT_EQ(watcher_.watch_count(), 2u);
}

TEST_F(WatchedTree, SeesWhatComesAndGoes) {
  make("/ci");
  watch({"/ci/*"});
  make("/ci/a");
  make("/elsewhere");
  EXPECT_THAT(consume(), ElementsAre("+/ci/a"));
  remove("/ci/a");
  EXPECT_THAT(consume(), ElementsAre("-/ci/a"));
  EXPECT_THAT(consume(), IsEmpty());
}

TEST_F(WatchedTree, SeesAWholeTreeComeAndGo) {
  watch({"/a/*/c"});
  make("/a/b/c");
  EXPECT_THAT(consume(), ElementsAre("+/a", "+/a/b", "+/a/b/c"));
  remove("/a");
  EXPECT_THAT(consume(), ElementsAre("-/a/b/c", "-/a/b", "-/a"));
  EXPECT_EQ(watcher_.watch_count(), 1u);
}

TEST_F(WatchedTree, LeavesOutWhatCameAndWentMeanwhile) {
  make("/ci");
  watch({"/ci/*"});
  make("/ci/a");
  remove("/ci/a");
  EXPECT_THAT(consume(), IsEmpty());
}

TEST_F(WatchedTree, KeepsNeighboursWhoseNamesSortBetween) {
  for (const char* path : {"/a", "/a-b", "/a/x", "/a.c"}) make(path);
  watch({"/*", "/*/*"});
  remove("/a");
  EXPECT_THAT(consume(), ElementsAre("-/a/x", "-/a"));
  EXPECT_THAT(known(), ElementsAre("/", "/a-b", "/a.c"));
}

TEST_F(WatchedTree, TakesARenameForTheEndOfOneAndTheBeginningOfAnother) {
  make("/a/x");
  watch({"/*", "/*/*"});
  fs::rename(root_ + "/a", root_ + "/b");
  EXPECT_THAT(consume(), ElementsAre("-/a/x", "-/a", "+/b", "+/b/x"));
  make("/b/y");
  EXPECT_THAT(consume(), ElementsAre("+/b/y"));
}

TEST_F(WatchedTree, IgnoresFiles) {
  watch({"/*"});
  put_into(root_ + "/cgroup.procs", "");
  EXPECT_THAT(consume(), IsEmpty());
}

TEST_F(WatchedTree, ForgetsWhatNoLongerMattersWithoutSayingThatItIsGone) {
  make("/a/x");
  make("/b/y");
  watch({"/a/*", "/b/*"});
  EXPECT_THAT(lines_of(watch({"/b/*"})), IsEmpty());
  EXPECT_THAT(known(), ElementsAre("/", "/b", "/b/y"));
  EXPECT_EQ(watcher_.watch_count(), 2u);
  remove("/a/x");
  EXPECT_THAT(consume(), IsEmpty());
  EXPECT_THAT(lines_of(watch({"/a/*", "/b/*"})), ElementsAre("+/a"));
}

TEST_F(WatchedTree, FindsByRescanWhatItWasNotTold) {
  make("/ci/a");
  watch({"/ci/*"});
  make("/ci/b");
  remove("/ci/a");
  const CgroupChanges changes = watcher_.rescan();
  EXPECT_TRUE(changes.was_rescanned);
  EXPECT_THAT(lines_of(changes), ElementsAre("-/ci/a", "+/ci/b"));
  EXPECT_THAT(consume(), IsEmpty());
}

std::size_t max_queued_events() {
  std::ifstream file("/proc/sys/fs/inotify/max_queued_events");
  std::size_t count = 0;
  file >> count;
  return count;
}

TEST_F(WatchedTree, RescansWhenEventsWereLost) {
  make("/ci/a");
  watch({"/ci/*"});
  // Two events for each rename; ids stay.
  for (std::size_t i = 0; i < max_queued_events() / 4 + 1; ++i) {
    fs::rename(root_ + "/ci/a", root_ + "/ci/b");
    fs::rename(root_ + "/ci/b", root_ + "/ci/a");
  }
  make("/ci/late");
  std::vector<std::string> all;
  bool was_rescanned = false;
  for (;;) {
    const CgroupChanges changes = watcher_.consume();
    was_rescanned = was_rescanned || changes.was_rescanned;
    for (const std::string& line : lines_of(changes)) all.push_back(line);
    if (was_rescanned) break;
  }
  EXPECT_THAT(all, ElementsAre("+/ci/late"));
}

// Whatever happens, in whatever portions it is read: after the last event the watcher knows what a scan finds.
TEST_F(WatchedTree, KnowsWhatIsThereAfterAnyHistory) {
  std::mt19937 random(26);
  const auto below = [&](std::size_t n) { return random() % n; };
  watch({"/*", "/a*/*", "/b/*/c", "/a/b/c/d"});
  std::set<ExistingCgroup> told;
  const auto take = [&](const CgroupChanges& changes) {
    for (const ExistingCgroup& cgroup : changes.vanished) EXPECT_EQ(told.erase(cgroup), 1u) << cgroup.path;
    for (const ExistingCgroup& cgroup : changes.appeared) EXPECT_TRUE(told.insert(cgroup).second) << cgroup.path;
  };
  const char* const names[] = {"a", "ab", "b", "c"};
  for (int step = 0; step < 1000; ++step) {
    std::string path;
    for (std::size_t depth = 1 + below(4); depth > 0; --depth) path += std::string("/") + names[below(4)];
    if (below(3) == 0) {
      remove(path);
    } else {
      make(path);
    }
    if (below(20) == 0) take(watcher_.consume());
  }
  for (CgroupChanges changes = watcher_.consume(); !changes.appeared.empty() || !changes.vanished.empty();
       changes = watcher_.consume()) {
    take(changes);
  }
  const CgroupChanges rescanned = watcher_.rescan();
  EXPECT_THAT(lines_of(rescanned), IsEmpty());
  std::set<ExistingCgroup> expected;
  const auto all = scan_cgroups(root_, "/");
  ASSERT_TRUE(all);
  for (const ExistingCgroup& cgroup : *all) {
    for (const char* text : {"/*", "/a*/*", "/b/*/c", "/a/b/c/d"}) {
      if (CgroupPattern::parse(text)->leads_through(cgroup.path)) expected.insert(cgroup);
    }
  }
  EXPECT_EQ(told, expected);
}

TEST(CgroupScan, FindsEverythingBelow) {
  TemporaryDirectory directory;
  fs::create_directories(directory.file("a/b/c"));
  fs::create_directories(directory.file("a-b"));
  put_into(directory.file("file"), "");
  const std::string mount = directory.file("").substr(0, directory.file("").size() - 1);
  const auto below = scan_cgroups(mount, "/a");
  ASSERT_TRUE(below);
  std::vector<std::string> paths;
  for (const ExistingCgroup& cgroup : *below) paths.push_back(cgroup.path);
  EXPECT_THAT(paths, ElementsAre("/a/b", "/a/b/c"));
  EXPECT_EQ(scan_cgroups(mount, "/")->size(), 4u);
  EXPECT_THAT(*scan_cgroups(mount, "/nowhere"), IsEmpty());
}

}  // namespace
}  // namespace namewall::agent
