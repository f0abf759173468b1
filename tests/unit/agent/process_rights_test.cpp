#include "agent/host/process_rights.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

constexpr char kStatus[] =
    "Name:\tnode\nUid:\t1000\t1000\t1000\t1001\nGid:\t100\t100\t100\t101\nGroups:\t4 27 998 \n"
    "CapInh:\t0000000000000000\nCapPrm:\t00000000ffffffff\nCapEff:\t0000000000003000\n";

struct stat file_of(uid_t uid, gid_t gid, mode_t mode) {
  struct stat file {};
  file.st_uid = uid;
  file.st_gid = gid;
  file.st_mode = mode;
  return file;
}

TEST(ProcessRights, AreThoseOfTheFileSystemIds) {
  const auto rights = parse_process_rights(kStatus);
  ASSERT_TRUE(rights);
  EXPECT_EQ(rights->uid, 1001u);
  EXPECT_EQ(rights->gid, 101u);
  EXPECT_EQ(rights->groups, (std::vector<gid_t>{4, 27, 998}));
  EXPECT_EQ(rights->effective, 0x3000u);
}

TEST(ProcessRights, AreUnknownWhereAFieldIsMissing) {
  EXPECT_FALSE(parse_process_rights(""));
  EXPECT_FALSE(parse_process_rights("Uid:\t1000\nGid:\t100\t100\t100\t101\nCapEff:\t0\n"));
  EXPECT_FALSE(parse_process_rights("Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\n"));
}

TEST(ProcessRights, TheFirstClassThatFitsDecides) {
  const ProcessRights rights{1001, 101, {998}, 0};
  EXPECT_TRUE(is_permitted(rights, file_of(1001, 0, 0600), 2));
  EXPECT_FALSE(is_permitted(rights, file_of(1001, 101, 0060), 2)) << "the owner's bits, not the group's";
  EXPECT_TRUE(is_permitted(rights, file_of(0, 998, 0660), 2)) << "group docker";
  EXPECT_FALSE(is_permitted(rights, file_of(0, 998, 0606), 2));
  EXPECT_TRUE(is_permitted(rights, file_of(0, 0, 0666), 2));
  EXPECT_FALSE(is_permitted(rights, file_of(0, 0, 0664), 2));
}

TEST(CgroupMounts, CountWhenTheyCanBeWritten) {
  constexpr char kWritable[] = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
  constexpr char kReadOnly[] = "29 23 0:26 / /sys/fs/cgroup ro,nosuid shared:4 - cgroup2 cgroup2 rw\n";
  constexpr char kOther[] = "29 23 0:26 / /tmp rw,nosuid shared:4 - tmpfs tmpfs rw\n";
  EXPECT_TRUE(has_writable_cgroup_mount(kWritable));
  EXPECT_FALSE(has_writable_cgroup_mount(kReadOnly));
  EXPECT_FALSE(has_writable_cgroup_mount(kOther));
  EXPECT_TRUE(has_writable_cgroup_mount(std::string(kReadOnly) + kOther + kWritable));
}

}  // namespace
}  // namespace namewall::agent
