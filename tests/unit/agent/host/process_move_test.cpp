#include "agent/host/process_move.h"

#include <gmock/gmock.h>

#include <deque>
#include <optional>
#include <set>
#include <string>

namespace namewall::agent {
namespace {

// A process 7 that is to move; what else happens is said by the test.
class Script : public MoveSteps {
 public:
  bool is_alive() override { return !ends_at_look || ++looks_ < *ends_at_look; }
  bool is_where_expected() override { return is_there; }
  bool is_inside() override { return is_inside_then; }
  Result<void> enter() override {
    ++entered;
    if (entered_error) return tl::unexpected(*entered_error);
    return {};
  }
  std::vector<std::uint32_t> members() override {
    if (!forks.empty()) {
      strangers.push_back(forks.front());
      forks.pop_front();
    }
    return {strangers.begin(), strangers.end()};
  }
  bool send_back(std::uint32_t pid) override {
    if (stuck.contains(pid)) return false;
    std::erase(strangers, pid);
    sent_back.push_back(pid);
    return true;
  }

  std::optional<int> ends_at_look;  // the first look that finds it dead
  bool is_there = true, is_inside_then = true;
  std::optional<Error> entered_error;
  std::deque<std::uint32_t> strangers, forks;
  std::set<std::uint32_t> stuck;
  int entered = 0;
  std::vector<std::uint32_t> sent_back;

 private:
  int looks_ = 0;
};

TEST(ProcessMove, LeavesTheProcessInside) {
  Script script;
  EXPECT_TRUE(move_process(script));
  EXPECT_EQ(script.entered, 1);
  EXPECT_TRUE(script.sent_back.empty());
}

TEST(ProcessMove, TouchesNobodyWhenTheProcessHasEnded) {
  Script script;
  script.ends_at_look = 1;
  EXPECT_EQ(move_process(script).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(script.entered, 0);
}

TEST(ProcessMove, BelievesNothingOfANumberWhoseProcessEndedMeanwhile) {
  Script script;
  script.ends_at_look = 2;  // after it was read where the number is
  EXPECT_EQ(move_process(script).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(script.entered, 0);
}

TEST(ProcessMove, SendsBackWhoeverGotTheNumber) {
  Script script;
  script.ends_at_look = 3;  // between the check and the write
  script.strangers = {7};
  EXPECT_EQ(move_process(script).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(script.entered, 1);
  EXPECT_THAT(script.sent_back, testing::ElementsAre(7));
}

TEST(ProcessMove, SendsBackWhatTheStrangerForked) {
  Script script;
  script.ends_at_look = 3;
  script.strangers = {7};
  script.forks = {8, 9};
  EXPECT_FALSE(move_process(script));
  EXPECT_THAT(script.sent_back, testing::UnorderedElementsAre(7, 8, 9));
  EXPECT_TRUE(script.strangers.empty());
}

TEST(ProcessMove, EndsWhereAStrangerCannotBePlaced) {
  Script script;
  script.ends_at_look = 3;
  script.strangers = {7};
  script.stuck = {7};
  EXPECT_FALSE(move_process(script));
  EXPECT_TRUE(script.sent_back.empty());
}

TEST(ProcessMove, RefusesAProcessThatIsElsewhere) {
  Script script;
  script.is_there = false;
  EXPECT_EQ(move_process(script).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(script.entered, 0);
}

TEST(ProcessMove, TellsOfAProcessThatSomebodyElseMovedAway) {
  Script script;
  script.is_inside_then = false;
  EXPECT_EQ(move_process(script).error().kind, ErrorKind::kConflict);
}

TEST(ProcessMove, TellsWhyTheKernelRefused) {
  Script script;
  script.entered_error = Error{ErrorKind::kSystem, 16, "cannot move the process"};
  EXPECT_EQ(move_process(script).error().error_number, 16);
}

}  // namespace
}  // namespace namewall::agent
