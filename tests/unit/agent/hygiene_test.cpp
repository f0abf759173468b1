#include "agent/hygiene.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

TEST(Hygiene, FindsBothKindsOfCgroupMountsOnce) {
  const std::vector<Mount> mounts = {{"/", "/", "ext4"},
                                     {"/", "/sys/fs/cgroup", "tmpfs"},
                                     {"/", "/sys/fs/cgroup/memory", "cgroup"},
                                     {"/", "/sys/fs/cgroup/unified", "cgroup2"},
                                     {"/", "/sys/fs/cgroup/unified", "cgroup2"}};
  EXPECT_THAT(find_cgroup_mount_points(mounts),
              testing::ElementsAre("/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"));
}

TEST(Hygiene, LeavesTheStubResolvConfReadable) {
  for (const HiddenPath& hidden : hidden_paths()) {
    EXPECT_NE(hidden.path, "/run/systemd/resolve");
    EXPECT_NE(hidden.path, "/run/systemd");
  }
}

}  // namespace
}  // namespace namewall::agent
