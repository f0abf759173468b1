#include "agent/cgroup_tree.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

std::vector<Mount> hybrid() {
  return {{"/", "/sys/fs/cgroup", "tmpfs"},
          {"/", "/sys/fs/cgroup/memory", "cgroup"},
          {"/", "/sys/fs/cgroup/unified", "cgroup2"}};
}

TEST(OwnCgroup, IsTheUnifiedLineAmongTheOldHierarchies) {
  EXPECT_EQ(parse_own_cgroup("4:memory:/old\n1:name=systemd:/x\n0::/user.slice/session 3.scope\n"),
            "/user.slice/session 3.scope");
  EXPECT_EQ(parse_own_cgroup("0::/"), "/");
}

TEST(OwnCgroup, IsAbsentWithoutTheUnifiedHierarchy) {
  EXPECT_EQ(parse_own_cgroup("4:memory:/old\n10::/x\n"), std::nullopt);
  EXPECT_EQ(parse_own_cgroup(""), std::nullopt);
}

TEST(CgroupDirectory, IsWhereverCgroup2IsMounted) {
  EXPECT_EQ(find_cgroup_directory(hybrid(), "/ci/job"), "/sys/fs/cgroup/unified/ci/job");
  EXPECT_EQ(find_cgroup_directory(hybrid(), "/"), "/sys/fs/cgroup/unified");
  EXPECT_EQ(find_cgroup_directory({{"/", "/sys/fs/cgroup", "cgroup2"}}, "/ci"), "/sys/fs/cgroup/ci");
}

TEST(CgroupDirectory, IsAbsentWithoutCgroup2) {
  EXPECT_EQ(find_cgroup_directory({{"/", "/sys/fs/cgroup/memory", "cgroup"}}, "/ci"), std::nullopt);
}

TEST(CgroupDirectory, UsesAMountOfAPartOfTheTreeOnlyForCgroupsInThatPart) {
  const std::vector<Mount> mounts = {{"/docker/abc", "/sys/fs/cgroup", "cgroup2"}};
  EXPECT_EQ(find_cgroup_directory(mounts, "/docker/abc"), "/sys/fs/cgroup");
  EXPECT_EQ(find_cgroup_directory(mounts, "/docker/abc/x"), "/sys/fs/cgroup/x");
  EXPECT_EQ(find_cgroup_directory(mounts, "/docker/abcd"), std::nullopt);
  EXPECT_EQ(find_cgroup_directory(mounts, "/docker"), std::nullopt);
}

TEST(CgroupDirectory, IsAbsentForACgroupOutsideItsNamespace) {
  EXPECT_EQ(find_cgroup_directory(hybrid(), "/../other"), std::nullopt);
  EXPECT_EQ(find_cgroup_directory(hybrid(), "/.."), std::nullopt);
  EXPECT_EQ(find_cgroup_directory(hybrid(), "/..x"), "/sys/fs/cgroup/unified/..x");
}

}  // namespace
}  // namespace namewall::agent
