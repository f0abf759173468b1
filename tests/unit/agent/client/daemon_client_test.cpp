#include "agent/client/daemon_client.h"

#include <gtest/gtest.h>

#include "agent/client/view_reader.h"

namespace namewall::agent {
namespace {

TEST(PercentEncode, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(percent_encode("builder:job-17"), "builder%3Ajob-17");
  EXPECT_EQ(percent_encode("a/b ?#%\n\xff"), "a%2Fb%20%3F%23%25%0A%FF");
  EXPECT_EQ(percent_encode(".."), "%2E.");
}

TEST(DaemonErrors, KeepTheSentenceAndTheExitCode) {
  const DaemonError error =
      read_daemon_error(409, R"({"error":{"code":"conflict","sentence":"it is taken","exit_code":7}})");
  EXPECT_EQ(error.exit_code, 7);
  EXPECT_EQ(error.sentence, "it is taken");
}

TEST(DaemonErrors, HaveAnExitCodeByTheirStatusWhereTheBodySaysNone) {
  for (const auto& [status, exit_code] : {std::pair{400L, kExitInputErrors},
                                          {403L, kExitNotPermitted},
                                          {404L, kExitNoSuchObject},
                                          {409L, kExitConflict},
                                          {429L, kExitLimit},
                                          {501L, kExitUnsupported},
                                          {500L, kExitOwnFailure}}) {
    for (const char* body : {"", "no json", "[]", R"({"error":7})", R"({"error":{"exit_code":0}})",
                             R"({"error":{"exit_code":99999999999,"sentence":[]}})"}) {
      const DaemonError error = read_daemon_error(status, body);
      EXPECT_EQ(error.exit_code, exit_code) << body;
      EXPECT_FALSE(error.sentence.empty());
    }
  }
}

TEST(ReadView, PassesOverUnknownKeysAndKeepsDefaultsOfAbsentOnes) {
  const auto view = read_view<ReloadView>(R"({"ok":true,"armed":3,"later":{"x":1}})");
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->ok);
  EXPECT_EQ(view->armed, 3u);
  EXPECT_EQ(view->unchanged, 0u);
}

TEST(ReadView, SaysSoWhereItIsNoSuchView) {
  for (const char* body : {"", "{", "[]", R"({"ok":"yes"})"}) {
    const auto view = read_view<ReloadView>(body);
    ASSERT_FALSE(view) << body;
    EXPECT_EQ(view.error().exit_code, kExitOwnFailure);
  }
}

}  // namespace
}  // namespace namewall::agent
