#include "agent/host/disk_trouble.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace namewall::agent {
namespace {

Result<void> no_space() { return fail_errno(ENOSPC, "cannot write /var/lib/namewall/state.json"); }

TEST(DiskTrouble, IsReportedWhenItBeginsAndWhenItIsOver) {
  DiskTrouble trouble("/var/lib/namewall/state.json");
  EXPECT_FALSE(trouble.note({}));
  EXPECT_EQ(trouble.note(no_space()),
            "cannot write /var/lib/namewall/state.json: No space left on device; enforcement goes on");
  EXPECT_FALSE(trouble.note(no_space()));
  EXPECT_EQ(trouble.note({}), "/var/lib/namewall/state.json is written again, after 2 failed attempts");
  EXPECT_FALSE(trouble.note({}));
  EXPECT_EQ(trouble.failures(), 2u);
}

}  // namespace
}  // namespace namewall::agent
