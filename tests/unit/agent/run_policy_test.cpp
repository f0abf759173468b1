#include "agent/run_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

using testing::Contains;
using testing::HasSubstr;

std::string write(const TemporaryDirectory& directory, const std::string& name, const std::string& text) {
  put_into(directory.file(name), text);
  return directory.file(name);
}

TEST(RunPolicy, ArgumentsAndTheHostsFileMakeAPolicy) {
  const TemporaryDirectory directory;
  RunPolicySources sources;
  sources.allow = {"example.com"};
  sources.host_file = write(directory, "host.toml", "");
  sources.audit = true;
  const LoadedRunPolicy result = load_run_policy(sources);
  ASSERT_TRUE(result.loaded) << testing::PrintToString(result.messages);
  EXPECT_EQ(result.loaded->policy.mode, Mode::kAudit);
  EXPECT_EQ(result.loaded->image.mode, Mode::kAudit);
}

TEST(RunPolicy, SaysWhatTheHostTakesFromItAndNothingElse) {
  const TemporaryDirectory directory;
  RunPolicySources sources;
  sources.allow = {"https://a.example", "https://b.example", "https://**.a.example", "https://x.a.example"};
  sources.host_file = write(directory, "host.toml", "deny = [\"b.example\"]\n");
  const LoadedRunPolicy result = load_run_policy(sources);
  ASSERT_TRUE(result.loaded) << testing::PrintToString(result.messages);
  ASSERT_EQ(result.messages.size(), 1u) << testing::PrintToString(result.messages);
  EXPECT_THAT(result.messages.front(), HasSubstr("warning: `https://b.example` cannot be satisfied"));
}

TEST(RunPolicy, AsksTheProxyWhereTheKernelCannotReadDns) {
  const TemporaryDirectory directory;
  RunPolicySources sources;
  sources.allow = {"example.com"};
  sources.host_file = write(directory, "host.toml", "");
  sources.kernel_can_learn = false;
  const LoadedRunPolicy result = load_run_policy(sources);
  ASSERT_TRUE(result.loaded) << testing::PrintToString(result.messages);
  EXPECT_EQ(result.loaded->image.learn, Learn::kProxy);
  sources.policy_file = write(directory, "policy.toml", "allow = [\"example.com\"]\n[dns]\nlearn = \"kernel\"\n");
  sources.allow.clear();
  EXPECT_FALSE(load_run_policy(sources).loaded);
}

TEST(RunPolicy, AFileThatIsNotThereIsAnErrorThatNamesIt) {
  const TemporaryDirectory directory;
  RunPolicySources sources;
  sources.policy_file = directory.file("none.toml");
  sources.host_file = directory.file("nohost.toml");
  const LoadedRunPolicy result = load_run_policy(sources);
  EXPECT_FALSE(result.loaded);
  EXPECT_THAT(result.messages, Contains(HasSubstr("none.toml")));
  EXPECT_THAT(result.messages, Contains(HasSubstr("nohost.toml"))) << "a host policy that was asked for";
}

TEST(RunPolicy, MistakesAreToldWithTheFileThatHasThem) {
  const TemporaryDirectory directory;
  RunPolicySources sources;
  sources.policy_file = write(directory, "policy.toml", "[[allow]\n");
  sources.host_file = write(directory, "host.toml", "no_such_key = 1\n");
  const LoadedRunPolicy result = load_run_policy(sources);
  EXPECT_FALSE(result.loaded);
  EXPECT_THAT(result.messages, Contains(HasSubstr("policy.toml:1")));
  EXPECT_THAT(result.messages, Contains(HasSubstr("host.toml:1")));
}

}  // namespace
}  // namespace namewall::agent
