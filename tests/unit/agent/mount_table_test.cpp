#include "agent/mount_table.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

TEST(MountTable, ReadsRootMountPointAndTypeBehindAnyNumberOfOptionalFields) {
  const auto mounts = parse_mountinfo(
      "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 master:1 - cgroup2 cgroup2 rw\n");
  ASSERT_EQ(mounts.size(), 2u);
  EXPECT_EQ(mounts[0].fs_type, "tmpfs");
  EXPECT_EQ(mounts[1].root, "/");
  EXPECT_EQ(mounts[1].mount_point, "/sys/fs/cgroup/unified");
  EXPECT_EQ(mounts[1].fs_type, "cgroup2");
}

TEST(MountTable, ResolvesOctalEscapes) {
  const auto mounts = parse_mountinfo("41 31 0:38 /a\\134b /mnt/with\\040space\\011tab rw - cgroup2 none rw\n");
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(mounts[0].root, "/a\\b");
  EXPECT_EQ(mounts[0].mount_point, "/mnt/with space\ttab");
}

TEST(MountTable, LeavesOutLinesThatDoNotParse) {
  EXPECT_TRUE(parse_mountinfo("").empty());
  EXPECT_TRUE(parse_mountinfo("garbage\n\n41 31 0:38 / /x rw shared:1\n41 31 0:38 / /x rw -\n").empty());
  EXPECT_EQ(parse_mountinfo("garbage\n41 31 0:38 / /x rw - ext4 none rw").size(), 1u);
}

}  // namespace
}  // namespace namewall::agent
