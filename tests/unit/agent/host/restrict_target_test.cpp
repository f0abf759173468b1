#include "agent/host/restrict_target.h"

#include <gmock/gmock.h>

#include <string>

namespace namewall::agent {
namespace {

constexpr std::uint64_t kDacOverride = 1u << 1, kSetuid = 1u << 7;

std::string status_of(const std::string& numbers, std::uint32_t parent, const std::string& uids = "1000 1000 1000 1000",
                      const std::string& state = "S (sleeping)") {
  return "Name:\ta\nState:\t" + state + "\nTgid:\t1\nPPid:\t" + std::to_string(parent) + "\nUid:\t" + uids +
         "\nGid:\t1000\t1000\t1000\t1000\nGroups:\t44 1000 \nNSpid:\t" + numbers +
         "\nCapPrm:\t0000000000000002\nCapEff:\t0000000000000000\n";
}

ProcessIdentity identity(const std::string& status) {
  const auto parsed = parse_process_identity(status);
  EXPECT_TRUE(parsed) << status;
  return parsed.value_or(ProcessIdentity{});
}

struct stat procs_of(uid_t uid, gid_t gid, mode_t mode) {
  struct stat status {};
  status.st_uid = uid;
  status.st_gid = gid;
  status.st_mode = mode;
  return status;
}

ProcessRights user(std::uint64_t capabilities = 0) { return {1000, 1000, {44}, capabilities}; }

bool leaves(const ProcessRights& rights, std::vector<struct stat> procs, const UserNamespace& users = {}) {
  return may_leave(rights, users, procs);
}

TEST(RestrictTarget, IsReadFromTheProcesssStatus) {
  const ProcessIdentity process = identity(status_of("500\t7", 400));
  EXPECT_THAT(process.numbers, testing::ElementsAre(500, 7));
  EXPECT_EQ(process.parent, 400u);
  EXPECT_TRUE(process.has_first_thread);
  EXPECT_EQ(process.rights.effective, kDacOverride) << "what is permitted may be taken at any time";
  EXPECT_FALSE(identity(status_of("500", 1, "1000 1000 1000 1000", "Z (zombie)")).has_first_thread);
  EXPECT_FALSE(parse_process_identity("Name:\ta\n"));
  EXPECT_FALSE(parse_process_identity(status_of("", 1)));
}

TEST(RestrictTarget, IsOfTheUserOnlyByAllOfItsIds) {
  EXPECT_TRUE(is_of_user(identity(status_of("5", 1)), 1000));
  EXPECT_FALSE(is_of_user(identity(status_of("5", 1, "1000 0 0 0")), 1000)) << "a set-user-id program";
  EXPECT_FALSE(is_of_user(identity(status_of("5", 1, "1000 1000 0 1000")), 1000));
  EXPECT_FALSE(is_of_user(identity(status_of("5", 1)), 1001));
}

TEST(RestrictTarget, IsAChildByItsNumberInTheCallersNamespace) {
  const ProcessIdentity caller = identity(status_of("400\t1", 300));
  EXPECT_TRUE(is_child_of(identity(status_of("500\t7", 400)), caller, 7));
  EXPECT_TRUE(is_child_of(identity(status_of("500\t7\t1", 400)), caller, 7)) << "in a namespace below";
  EXPECT_FALSE(is_child_of(identity(status_of("500\t7", 400)), caller, 500)) << "the daemon's number of it";
  EXPECT_FALSE(is_child_of(identity(status_of("500\t7", 401)), caller, 7)) << "somebody else's child";
  EXPECT_FALSE(is_child_of(identity(status_of("500", 400)), caller, 7)) << "not in its namespace";
  EXPECT_FALSE(is_child_of(caller, caller, 1)) << "itself";
}

TEST(RestrictTarget, StaysWhereNoCgroupAboveIsItsOwn) {
  EXPECT_FALSE(leaves(user(), {procs_of(0, 0, 0644), procs_of(0, 0, 0644)}));
  EXPECT_FALSE(leaves(user(), {procs_of(0, 45, 0664)})) << "a group that it is not in";
}

TEST(RestrictTarget, LeavesByWhatItMayWrite) {
  EXPECT_TRUE(leaves(user(), {procs_of(0, 0, 0644), procs_of(1000, 0, 0644)})) << "one above is enough";
  EXPECT_TRUE(leaves(user(), {procs_of(1000, 0, 0444)})) << "an owner may change the mode";
  EXPECT_TRUE(leaves(user(), {procs_of(0, 44, 0664)})) << "by a group";
  EXPECT_TRUE(leaves(user(), {procs_of(0, 0, 0666)}));
  EXPECT_TRUE(leaves({0, 0, {}, 0}, {procs_of(0, 0, 0644)})) << "root, without any capability";
}

TEST(RestrictTarget, LeavesByACapability) {
  EXPECT_TRUE(leaves(user(kDacOverride), {procs_of(0, 0, 0644)}));
  EXPECT_TRUE(leaves(user(kSetuid), {procs_of(0, 0, 0644)}));
  EXPECT_FALSE(leaves(user(1u << 10), {procs_of(0, 0, 0644)})) << "CAP_NET_BIND_SERVICE";
  EXPECT_TRUE(leaves(user(1u << 31), {procs_of(0, 0, 0644)})) << "CAP_SETFCAP gives a file of its own all of them";
  EXPECT_TRUE(leaves(user(1u << 27), {procs_of(0, 0, 0644)})) << "CAP_MKNOD";
  EXPECT_FALSE(leaves(user(1u << 6), {procs_of(0, 45, 0644)})) << "CAP_SETGID, where no group may write";
  EXPECT_TRUE(leaves(user(1u << 6), {procs_of(0, 45, 0664)}));
}

TEST(RestrictTarget, HasCapabilitiesOverTheFilesOfItsOwnUserNamespaceAlone) {
  UserNamespace users{false, parse_id_map("0 1000 1\n1 100000 65536\n"), parse_id_map("0 1000 1\n")};
  EXPECT_FALSE(leaves(user(kDacOverride), {procs_of(0, 0, 0644)}, users)) << "rootless: the host's root is not in it";
  EXPECT_TRUE(leaves(user(kDacOverride), {procs_of(100005, 1000, 0644)}, users));
  EXPECT_FALSE(leaves(user(kDacOverride), {procs_of(100005, 0, 0644)}, users)) << "its group is not in it";
  EXPECT_TRUE(leaves(user(1u << 6), {procs_of(0, 1000, 0664)}, users)) << "by a group that is in it";
  EXPECT_FALSE(leaves(user(1u << 6), {procs_of(0, 45, 0664)}, users));
  EXPECT_FALSE(leaves(user(1u << 27), {procs_of(0, 0, 0644)}, users)) << "CAP_MKNOD is the host's alone";
  users = {false, parse_id_map("0 0 4294967295\n"), parse_id_map("0 0 4294967295\n")};
  EXPECT_TRUE(leaves(user(kDacOverride), {procs_of(0, 0, 0644)}, users)) << "made by root, with all ids";
}

}  // namespace
}  // namespace namewall::agent
