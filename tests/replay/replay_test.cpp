#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/replay/replay_script.h"

namespace namewall::testing {
namespace {

constexpr const char* kPolicy = "policy\nname = \"w\"\ncgroup = \"/w\"\nallow = [\"a.example\"]\nend\n";

std::vector<std::string> script_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(REPLAY_FOLDER)) {
    if (entry.path().extension() == ".replay") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Replay : public ::testing::TestWithParam<std::string> {};

TEST_P(Replay, Holds) {
  const std::string file_name = GetParam() + ".replay";
  std::ifstream file(std::string(REPLAY_FOLDER "/") + file_name);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const ReplayOutcome outcome = run_replay_script(file_name, text);
  EXPECT_EQ(outcome.failure, "");
  EXPECT_GT(outcome.expectations, 0u);
}

INSTANTIATE_TEST_SUITE_P(Scripts, Replay, ::testing::ValuesIn(script_names()),
                         [](const auto& script) { return script.param; });

TEST(ReplayScript, FailsAtTheLineThatDoesNotHold) {
  const auto failure = [](const std::string& line) { return run_replay_script("t", kPolicy + line).failure; };
  EXPECT_EQ(failure("at 0s expect allow tcp 192.0.2.1:443"),
            "t:6: refused, not_looked_up: grants: no lookup gave this address");
  EXPECT_EQ(failure("at 0s answer a.example A 60 192.0.2.1\nat 1s expect refuse expired tcp 192.0.2.1:443"),
            "t:7: allowed, none: grants: a.example tcp/443 for 149 s");
  EXPECT_EQ(failure("at 0s expect question refused a.example"), "t:6: the question is allowed");
  EXPECT_EQ(failure("at 0s question b.example"), "t:6: the question is refused: name_not_allowed");
  EXPECT_EQ(failure("at 0s answer b.example A 60 192.0.2.1"), "t:6: withheld, answer_withdrawn");
  EXPECT_EQ(failure("at 0s expect live 1"), "t:6: 0 grants are live");
  EXPECT_EQ(failure("at 2s question a.example\nat 1s question a.example"), "t:7: the time does not parse or goes back");
  EXPECT_EQ(failure("at 0s answer a.example A sixty 192.0.2.1"), "t:6: not an answer");
  EXPECT_EQ(failure("nonsense"), "t:6: not a line of a replay script");
  EXPECT_EQ(failure("at 0s expect nonsense here"), "t:6: not an expectation");
}

}  // namespace
}  // namespace namewall::testing
