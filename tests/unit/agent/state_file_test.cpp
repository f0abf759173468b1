#include "agent/host/state_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/agent/full_disk.h"
#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

using testing::HasSubstr;

SavedState make_state(std::uint64_t generation) {
  SavedState state;
  state.boot_id = "boot-1";
  state.generation = generation;
  for (int number = 0; number < 20; ++number) {
    state.workloads.emplace_back();
    state.workloads.back().name = std::to_string(number);
  }
  return state;
}

class StateFileTest : public testing::Test {
 protected:
  ErrorKind kind_of_failure() const {
    const auto state = file_.load();
    EXPECT_FALSE(state);
    return state ? ErrorKind::kSystem : state.error().kind;
  }
  std::size_t files() const {
    const auto listed = std::filesystem::directory_iterator(std::filesystem::path(path_).parent_path());
    return static_cast<std::size_t>(std::distance(begin(listed), end(listed)));
  }

  const TemporaryDirectory directory_;
  const std::string path_ = directory_.file("state.json");
  StateFile file_{path_, geteuid()};
};

TEST_F(StateFileTest, ThatWasStoredComesBackAndIsForItsOwnerOnly) {
  ASSERT_TRUE(file_.store(make_state(1)));
  ASSERT_TRUE(file_.store(make_state(2)));
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  const auto state = file_.load();
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_EQ(state->generation, 2u);
  EXPECT_EQ(files(), 1u) << "nothing stays beside it";
}

TEST_F(StateFileTest, ThatIsMissingIsNotFound) { EXPECT_EQ(kind_of_failure(), ErrorKind::kNotFound); }

TEST_F(StateFileTest, ThatOthersMayReadIsRefused) {
  ASSERT_TRUE(file_.store(make_state(1)));
  ASSERT_EQ(chmod(path_.c_str(), 0640), 0);
  EXPECT_EQ(kind_of_failure(), ErrorKind::kPermission);
}

TEST_F(StateFileTest, OfAnotherOwnerIsRefused) {
  ASSERT_TRUE(file_.store(make_state(1)));
  const StateFile of_another(path_, geteuid() + 1);
  const auto state = of_another.load();
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().kind, ErrorKind::kPermission);
}

TEST_F(StateFileTest, ReplacedByASymbolicLinkIsRefusedAndItsTargetStays) {
  const auto target = directory_.file("target");
  put_into(target, "precious");
  ASSERT_EQ(symlink(target.c_str(), path_.c_str()), 0);
  EXPECT_EQ(kind_of_failure(), ErrorKind::kPermission);
  ASSERT_TRUE(file_.store(make_state(1)));
  EXPECT_EQ(contents_of(target), "precious");
  EXPECT_TRUE(file_.load()) << "the link gave way to a file";
}

TEST_F(StateFileTest, ReplacedByAFifoIsRefusedWithoutWaiting) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(kind_of_failure(), ErrorKind::kPermission);
}

TEST_F(StateFileTest, WithALinkInPlaceOfTheNewFileDoesNotFollowIt) {
  const auto target = directory_.file("target");
  put_into(target, "precious");
  ASSERT_EQ(symlink(target.c_str(), (path_ + ".new").c_str()), 0);
  ASSERT_TRUE(file_.store(make_state(1)));
  EXPECT_EQ(contents_of(target), "precious");
}

TEST_F(StateFileTest, StaysAsItWasWhenTheDiskIsFull) {
  ASSERT_TRUE(file_.store(make_state(1)));
  {
    const FullDisk full(100);
    const auto stored = file_.store(make_state(2));
    ASSERT_FALSE(stored);
    EXPECT_THAT(stored.error().what, HasSubstr("cannot write"));
  }
  ASSERT_TRUE(file_.load());
  EXPECT_EQ(file_.load()->generation, 1u);
  EXPECT_EQ(files(), 1u);
}

SavedWorkload make_workload(const std::string& name, std::size_t size = 0) {
  SavedWorkload workload;
  workload.name = name;
  workload.policy_text.assign(size, 'x');
  return workload;
}

TEST_F(StateFileTest, TakesChangesAfterItWasStored) {
  EXPECT_TRUE(file_.wants_store());
  EXPECT_EQ(file_.put(make_workload("a"), 2).error().kind, ErrorKind::kConflict);
  ASSERT_TRUE(file_.store(make_state(1)));
  EXPECT_FALSE(file_.wants_store());
  ASSERT_TRUE(file_.put(make_workload("a"), 2));
  ASSERT_TRUE(file_.put(make_workload("b"), 3));
  ASSERT_TRUE(file_.erase("a", 4));
  const auto state = file_.load();
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_EQ(state->generation, 4u);
  EXPECT_EQ(state->workloads.back().name, "b");
}

TEST_F(StateFileTest, HoldsNoPartOfAChangeThatDidNotFit) {
  ASSERT_TRUE(file_.store(make_state(1)));
  const auto stored = contents_of(path_);
  {
    const FullDisk full(stored.size() + 20);
    const auto outcome = file_.put(make_workload("a"), 2);
    ASSERT_FALSE(outcome);
    EXPECT_THAT(outcome.error().what, HasSubstr("cannot write"));
    EXPECT_EQ(contents_of(path_), stored);
  }
  ASSERT_TRUE(file_.put(make_workload("b"), 3));
  EXPECT_EQ(file_.load()->generation, 3u);
}

TEST_F(StateFileTest, WantsToBeStoredWhenChangesHaveOutgrownIt) {
  ASSERT_TRUE(file_.store(make_state(1)));
  while (!file_.wants_store()) ASSERT_TRUE(file_.put(make_workload("a", 100'000), 2));
  EXPECT_GT(contents_of(path_).size(), 1u << 20);
  ASSERT_TRUE(file_.store(make_state(3)));
  EXPECT_FALSE(file_.wants_store());
  EXPECT_LT(contents_of(path_).size(), 1u << 20);
}

TEST_F(StateFileTest, ThatWasRemovedWantsToBeStored) {
  ASSERT_TRUE(file_.store(make_state(1)));
  ASSERT_EQ(unlink(path_.c_str()), 0);
  EXPECT_EQ(file_.put(make_workload("a"), 2).error().kind, ErrorKind::kNotFound);
  EXPECT_TRUE(file_.wants_store());
}

TEST_F(StateFileTest, InADirectoryThatIsGoneCannotBeStored) {
  EXPECT_FALSE(StateFile(directory_.file("gone/state.json"), geteuid()).store(make_state(1)));
}

TEST_F(StateFileTest, NamesItselfWhenItIsDamaged) {
  ASSERT_TRUE(file_.store(make_state(1)));
  ASSERT_EQ(truncate(path_.c_str(), 30), 0);
  const auto state = file_.load();
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(state.error().what, HasSubstr(path_ + ": the saved state is damaged"));
}

TEST(ReadBootId, GivesTheKernels) {
  const auto id = read_boot_id();
  ASSERT_TRUE(id);
  EXPECT_EQ(id->size(), 36u);
}

}  // namespace
}  // namespace namewall::agent
