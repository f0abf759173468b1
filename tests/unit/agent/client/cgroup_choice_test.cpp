#include "agent/client/cgroup_choice.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

const std::vector<Mount> kMounts = {
    {"/", "/", "ext4"}, {"/", "/sys/fs/cgroup", "cgroup2"}, {"/ci.slice", "/mnt/ci", "cgroup2"}};

TEST(CgroupPath, OfADirectoryBelowAMountIsThePathInTheHierarchy) {
  EXPECT_EQ(cgroup_path_of(kMounts, "/sys/fs/cgroup/ci.slice/job"), "/ci.slice/job");
  EXPECT_EQ(cgroup_path_of(kMounts, "/mnt/ci/job"), "/ci.slice/job");
  EXPECT_EQ(cgroup_path_of(kMounts, "/mnt/ci"), "/ci.slice");
  EXPECT_EQ(cgroup_path_of(kMounts, "/sys/fs/cgroup"), "/");
}

TEST(CgroupPath, OfAnythingElseIsNone) {
  EXPECT_EQ(cgroup_path_of(kMounts, "/ci.slice/job"), std::nullopt);
  EXPECT_EQ(cgroup_path_of(kMounts, "/sys/fs/cgroups/x"), std::nullopt);
}

TEST(ServiceCgroup, OfADelegatedServicesControlIsTheService) {
  EXPECT_EQ(service_cgroup_of("/system.slice/a.service/.control"), "/system.slice/a.service");
  EXPECT_EQ(service_cgroup_of("/system.slice/a.service"), "/system.slice/a.service");
}

TEST(WorkloadName, OfAServiceIsItsNameWithoutTypeAndWithoutWhatNamesMayNotHave) {
  EXPECT_EQ(workload_name_of("/system.slice/builder.service"), "builder");
  EXPECT_EQ(workload_name_of("/system.slice/system-w.slice/w@7.service"), "w@7");
  EXPECT_EQ(workload_name_of("/a/b\\x2dc.service"), "b-x2dc");
  EXPECT_EQ(workload_name_of("/a/" + std::string(300, 'x')).size(), 128u);
}

}  // namespace
}  // namespace namewall::agent
