#include "agent/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

using testing::Contains;
using testing::HasSubstr;

TEST(Credentials, RootIsFoundByNameAndNumber) {
  for (const char* user : {"root", "0"}) {
    const auto credentials = find_credentials(user);
    ASSERT_TRUE(credentials) << user;
    EXPECT_TRUE(credentials->is_root());
    EXPECT_EQ(credentials->name, "root");
    EXPECT_THAT(credentials->groups, Contains(0u));
  }
}

TEST(Credentials, AnUnknownUserOrGroupIsNamedInTheError) {
  const auto user = find_credentials("nobody-has-this-name");
  ASSERT_FALSE(user);
  EXPECT_EQ(user.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(user.error().what, HasSubstr("nobody-has-this-name"));
  EXPECT_FALSE(find_credentials("root:nobody-has-this-group"));
  EXPECT_FALSE(find_credentials(""));
  EXPECT_FALSE(find_credentials("root:"));
}

TEST(Credentials, AUidWithoutEntryNeedsItsGroupWrittenOut) {
  constexpr const char* kUnknown = "3999999999";
  const auto alone = find_credentials(kUnknown);
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().what, HasSubstr("3999999999:GID"));
  const auto with_group = find_credentials(std::string(kUnknown) + ":77");
  ASSERT_TRUE(with_group);
  EXPECT_EQ(with_group->uid, 3999999999u);
  EXPECT_EQ(with_group->gid, 77u);
  EXPECT_EQ(with_group->groups, std::vector<gid_t>{77});
}

TEST(Credentials, TheIdThatMeansNoChangeIsNoUser) {
  EXPECT_FALSE(find_credentials("4294967295:4294967295"));
  EXPECT_FALSE(find_credentials("-1:-1"));
  EXPECT_FALSE(find_invoking_credentials("4294967295", "0", 0, 0));
}

TEST(Credentials, UnderSudoTheInvokingUserIsTheOneBehindIt) {
  const auto credentials = find_invoking_credentials("3999999999", "3999999998", 0, 0);
  ASSERT_TRUE(credentials);
  EXPECT_EQ(credentials->uid, 3999999999u);
  EXPECT_EQ(credentials->gid, 3999999998u);
}

TEST(Credentials, WithoutSudoTheInvokingUserIsTheCaller) {
  const auto credentials = find_invoking_credentials(nullptr, nullptr, 0, 0);
  ASSERT_TRUE(credentials);
  EXPECT_TRUE(credentials->is_root());
}

TEST(Credentials, SudoVariablesThatAreNoNumbersAreAnErrorAndNotRoot) {
  EXPECT_FALSE(find_invoking_credentials("1000x", "1000", 0, 0));
  EXPECT_FALSE(find_invoking_credentials("", "", 0, 0));
}

TEST(Credentials, TheEnvironmentIsTheUsersOwn) {
  Credentials credentials;
  credentials.uid = 1000;
  credentials.name = "ada";
  credentials.home = "/home/ada";
  credentials.shell = "/bin/zsh";
  const auto environment = build_environment({"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "PATH=/bin",
                                              "HOMEWARD=1", "SUDO_UID=1000", "SUDO_COMMAND=namewall", "EMPTY="},
                                             credentials);
  EXPECT_THAT(environment, testing::UnorderedElementsAre("HOME=/home/ada", "USER=ada", "LOGNAME=ada", "SHELL=/bin/zsh",
                                                         "PATH=/bin", "HOMEWARD=1", "EMPTY="));
}

TEST(Credentials, AnUnknownUserInheritsNothingOfRoot) {
  Credentials credentials;
  credentials.uid = 3999999999;
  const auto environment = build_environment({"HOME=/root", "USER=root"}, credentials);
  EXPECT_THAT(environment, testing::ElementsAre("HOME=/"));
}

}  // namespace
}  // namespace namewall::agent
