#include "agent/signal_relay.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

TEST(SignalRelay, PassesOnWhatAProcessSent) {
  for (const int signal_number : {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH, SIGTSTP}) {
    EXPECT_TRUE(is_passed_on(signal_number, SI_USER)) << signal_number;
    EXPECT_TRUE(is_passed_on(signal_number, SI_QUEUE)) << signal_number;
  }
}

TEST(SignalRelay, LeavesWhatTheTerminalSentToTheProcessGroup) {
  for (const int signal_number : {SIGINT, SIGQUIT, SIGTSTP, SIGHUP, SIGWINCH, SIGTTIN}) {
    EXPECT_FALSE(is_passed_on(signal_number, SI_KERNEL)) << signal_number;
  }
}

TEST(SignalRelay, PassesOnAnAlarmThatWasSetBeforeNamewallWasExecuted) { EXPECT_TRUE(is_passed_on(SIGALRM, SI_KERNEL)); }

TEST(SignalRelay, KeepsTheNewsOfTheCommandItselfToNamewall) {
  EXPECT_FALSE(is_passed_on(SIGCHLD, SI_USER));
  EXPECT_FALSE(is_passed_on(SIGCHLD, CLD_EXITED));
}

}  // namespace
}  // namespace namewall::agent
