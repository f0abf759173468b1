#include "agent/keep_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

using testing::HasSubstr;

TEST(KeepOptions, KeepNothingUnlessNamed) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(Keep::kCount); ++i) {
    EXPECT_FALSE(KeepSet{}.has(static_cast<Keep>(i))) << i;
  }
}

TEST(KeepOptions, TakeOneWordOrSeveralWithCommas) {
  KeepSet keep;
  ASSERT_TRUE(keep.add_words("privs,docker"));
  ASSERT_TRUE(keep.add_words("io_uring"));
  EXPECT_TRUE(keep.has(Keep::kPrivileges));
  EXPECT_TRUE(keep.has(Keep::kDocker));
  EXPECT_TRUE(keep.has(Keep::kIoUring));
  EXPECT_FALSE(keep.has(Keep::kPodman));
  EXPECT_FALSE(keep.has(Keep::kBpf));
}

TEST(KeepOptions, GroupWordsOpenTheirMembersOnly) {
  KeepSet sockets;
  ASSERT_TRUE(sockets.add_words("sockets"));
  EXPECT_TRUE(sockets.has(Keep::kNscd));
  EXPECT_TRUE(sockets.has(Keep::kSystemBus));
  EXPECT_FALSE(sockets.has(Keep::kBpffs));
  EXPECT_FALSE(sockets.has(Keep::kFamilies));
  KeepSet seccomp;
  ASSERT_TRUE(seccomp.add_words("seccomp"));
  EXPECT_TRUE(seccomp.has(Keep::kForeignAbis));
  EXPECT_TRUE(seccomp.has(Keep::kTerminal));
  EXPECT_FALSE(seccomp.has(Keep::kPrivileges));
}

TEST(KeepOptions, AnUnknownWordIsAnErrorThatNamesTheOthersAndKeepsNothing) {
  KeepSet keep;
  const auto result = keep.add_words("docker,network");
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().what, HasSubstr("`network`"));
  EXPECT_THAT(result.error().what, HasSubstr("cgroupfs"));
  EXPECT_FALSE(keep.has(Keep::kDocker));
  EXPECT_FALSE(keep.add_words(""));
  EXPECT_FALSE(keep.add_words("docker,"));
}

}  // namespace
}  // namespace namewall::agent
