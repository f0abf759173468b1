#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/replay/proxy_script.h"

namespace namewall::testing {
namespace {

std::vector<std::string> script_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(REPLAY_FOLDER "/proxy")) {
    if (entry.path().extension() == ".replay") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ProxyReplay : public ::testing::TestWithParam<std::string> {};

TEST_P(ProxyReplay, Holds) {
  const std::string file_name = GetParam() + ".replay";
  std::ifstream file(std::string(REPLAY_FOLDER "/proxy/") + file_name);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const ReplayOutcome outcome = run_proxy_script(file_name, text);
  EXPECT_EQ(outcome.failure, "");
  EXPECT_GT(outcome.expectations, 0u);
}

INSTANTIATE_TEST_SUITE_P(Scripts, ProxyReplay, ::testing::ValuesIn(script_names()),
                         [](const auto& script) { return script.param; });

TEST(ProxyScript, FailsAtTheLineThatDoesNotHold) {
  const auto failure = [](const std::string& line) {
    const std::string start = "policy\nname = \"p\"\ncgroup = \"/w\"\nallow = [\"a.example\"]\nend\nworkload w p\n";
    return run_proxy_script("t", start + line).failure;
  };
  EXPECT_EQ(failure("at 0s expect reply w"), "t:7: there is no reply");
  EXPECT_EQ(failure("at 0s ask w b.example\nat 0s expect no reply"), "t:8: there is a reply: w NXDOMAIN 0 answers");
  EXPECT_EQ(failure("at 0s ask w b.example\nat 0s expect reply w REFUSED"), "t:8: the reply is: w NXDOMAIN 0 answers");
  EXPECT_EQ(failure("at 0s ask w a.example\nat 0s turn\nat 0s expect asked"), "t:9: the resolver was asked: a.example");
  EXPECT_EQ(failure("at 0s answer a.example A 60 192.0.2.1"), "t:7: the resolver is not asked that");
  EXPECT_EQ(failure("at 0s expect waiting 1"), "t:7: 0 questions wait");
  EXPECT_EQ(failure("at 0s expect nonsense"), "t:7: not an expectation");
  EXPECT_EQ(failure("nonsense"), "t:7: not a line of a proxy script");
}

}  // namespace
}  // namespace namewall::testing
