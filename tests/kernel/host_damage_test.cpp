// What somebody else breaks is noticed, said and mended.
#include <bpf/bpf.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <filesystem>

#include "bpf/abi.h"
#include "tests/kernel/support/bpf_mount.h"
#include "tests/kernel/support/host_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class HostDamage : public HostTest {
 protected:
  void SetUp() override {
    HostTest::SetUp();
    open();
    id_ = arm(cgroup_, {"tcp://192.0.2.1:443"}).cgroup_id;
    ASSERT_THAT(damage(), IsEmpty());
  }
  OwnedFd pin(const std::string& relative) const { return OwnedFd(bpf_obj_get((directory_ + relative).c_str())); }
  std::string programs() const {
    for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/v1/layer0")) {
      const std::string name = entry.path().filename();
      if (name.rfind("programs-", 0) == 0) return "/v1/layer0/" + name;
    }
    return {};
  }
  ThrowawayCgroup cgroup_;
  std::uint64_t id_ = 0;
};

TEST_F(HostDamage, ADetachedProgramIsAttachedAgain) {
  const OwnedFd program = pin(programs() + "/namewall_connect4");
  ASSERT_EQ(bpf_prog_detach2(program.get(), cgroup_.fd(), BPF_CGROUP_INET4_CONNECT), 0);
  EXPECT_NE(tcp_in(cgroup_, "192.0.2.9"), ECONNREFUSED) << "the damage of this test";
  EXPECT_THAT(damage(), ElementsAre(HasSubstr("namewall_connect4 had been detached from /")));
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), ECONNREFUSED);
  EXPECT_THAT(damage(), IsEmpty());
}

TEST_F(HostDamage, AChangedPolicyIsWrittenBack) {
  const OwnedFd workloads = pin("/v1/layer0/maps/workloads");
  nw_workload config{};
  ASSERT_EQ(bpf_map_lookup_elem(workloads.get(), &id_, &config), 0);
  config.mode = NW_MODE_AUDIT;
  ASSERT_EQ(bpf_map_update_elem(workloads.get(), &id_, &config, BPF_EXIST), 0);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), 0) << "the damage of this test";
  EXPECT_THAT(damage(), ElementsAre(HasSubstr("another policy")));
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), ECONNREFUSED);
  EXPECT_THAT(damage(), IsEmpty());
}

TEST_F(HostDamage, ADetachedProgramIsNoticedByCountingBeforeItsCgroupIsLookedAt) {
  ThrowawayCgroup other;
  arm(other, {"tcp://192.0.2.1:443"});
  for (int look = 0; look < 3; ++look) ASSERT_EQ(host_->seems_detached(), false);
  const OwnedFd program = pin(programs() + "/namewall_connect4");
  ASSERT_EQ(bpf_prog_detach2(program.get(), cgroup_.fd(), BPF_CGROUP_INET4_CONNECT), 0);
  // The descriptor that this test holds is a reference, too; and one look is not enough.
  EXPECT_EQ(host_->seems_detached(), false);
  ASSERT_EQ(bpf_prog_detach2(program.get(), other.fd(), BPF_CGROUP_INET4_CONNECT), 0);
  EXPECT_EQ(host_->seems_detached(), false);
  EXPECT_EQ(host_->seems_detached(), true);
  EXPECT_EQ(host_->begin_turn(), 2u);
  EXPECT_EQ(host_->verify(2).size(), 2u);
  for (int look = 0; look < 3; ++look) EXPECT_EQ(host_->seems_detached(), false) << "repaired";
}

TEST_F(HostDamage, ACgroupThatEndsIsNoDamage) {
  ThrowawayCgroup other;
  arm(other, {"tcp://192.0.2.1:443"});
  ASSERT_EQ(host_->seems_detached(), false);
  host_->forget(id_of(other));
  for (int look = 0; look < 3; ++look) EXPECT_EQ(host_->seems_detached(), false);
}

TEST_F(HostDamage, AChangedPolicyIsFoundWithoutALookAtTheHooks) {
  const OwnedFd workloads = pin("/v1/layer0/maps/workloads");
  nw_workload config{};
  ASSERT_EQ(bpf_map_lookup_elem(workloads.get(), &id_, &config), 0);
  config.mode = NW_MODE_AUDIT;
  ASSERT_EQ(bpf_map_update_elem(workloads.get(), &id_, &config, BPF_EXIST), 0);
  const auto found = host_->verify_policies(1);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found.front().repaired);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), ECONNREFUSED);
}

TEST_F(HostDamage, ADetachedGuardIsAttachedAgain) {
  const ThrowawayCgroup guarded, unarmed(guarded);
  ASSERT_TRUE(host_->guard(guarded.fd(), id_of(guarded)));
  const OwnedFd program = pin(programs() + "/namewall_guard");
  ASSERT_EQ(bpf_prog_detach2(program.get(), guarded.fd(), BPF_CGROUP_INET_SOCK_CREATE), 0);
  EXPECT_EQ(tcp_in(unarmed, "192.0.2.9"), 0) << "the damage of this test";
  EXPECT_THAT(damage(), ElementsAre(HasSubstr("the guard had been detached from /")));
  EXPECT_NE(tcp_in(unarmed, "192.0.2.9"), 0);
}

TEST_F(HostDamage, RemovedPinsAreMadeAgain) {
  const auto pins = count_pins();
  ASSERT_EQ(unlink((directory_ + "/v1/layer0/maps/workloads").c_str()), 0);
  ASSERT_EQ(unlink((directory_ + programs() + "/namewall_egress").c_str()), 0);
  ASSERT_GT(std::filesystem::remove_all(directory_ + "/v1/layer0/tables"), 2u);
  EXPECT_THAT(damage(), Contains(HasSubstr("maps/workloads")));
  EXPECT_THAT(damage(), IsEmpty());
  EXPECT_GE(count_pins() + 2 * 4, pins) << "spare tables need no pins";
  open();
  EXPECT_EQ(host_->adoption().workloads, 1u);
  EXPECT_TRUE(host_->read_grants(id_));
}

TEST_F(HostDamage, ADeletedDirectoryIsMadeAgain) {
  ASSERT_GT(std::filesystem::remove_all(directory_), 20u);
  EXPECT_THAT(damage(), Contains(HasSubstr("was deleted")));
  EXPECT_THAT(damage(), IsEmpty());
  open();
  EXPECT_EQ(host_->adoption().workloads, 1u);
}

TEST_F(HostDamage, ARenamedDirectoryIsPutBack) {
  std::filesystem::rename(directory_, directory_ + "-moved");
  EXPECT_THAT(damage(), ElementsAre(HasSubstr("was renamed")));
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/v1"));
  EXPECT_THAT(damage(), IsEmpty());
}

TEST_F(HostDamage, APlaceTakenBySomebodyElseIsReported) {
  std::filesystem::rename(directory_, directory_ + "-moved");
  ASSERT_EQ(mkdir(directory_.c_str(), 0700), 0);
  EXPECT_THAT(damage(), ElementsAre(HasSubstr("NOT REPAIRED: something else is at")));
  ASSERT_EQ(rmdir(directory_.c_str()), 0);
  EXPECT_THAT(damage(), ElementsAre(HasSubstr("was renamed")));
}

TEST_F(HostDamage, OwnersAndModesAreSetBack) {
  ASSERT_EQ(chmod(directory_.c_str(), 0755), 0);
  ASSERT_EQ(chown((directory_ + "/v1/layer0/maps/grants").c_str(), 64321, 64321), 0);
  EXPECT_THAT(damage(), ElementsAre(HasSubstr("owner or the mode"), HasSubstr("maps/grants")));
  EXPECT_THAT(damage(), IsEmpty());
}

TEST_F(HostDamage, ALostProgramIsLoadedAnew) {
  close();
  ASSERT_EQ(unlink((directory_ + programs() + "/namewall_reap").c_str()), 0);
  open();
  EXPECT_TRUE(host_->adoption().programs_replaced);
  EXPECT_TRUE(host_->reap(id_));
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), ECONNREFUSED);
  EXPECT_THAT(damage(), IsEmpty());
}

TEST_F(HostDamage, ADirectoryOfALostMapIsNotTouched) {
  close();
  ASSERT_EQ(unlink((directory_ + "/v1/layer0/maps/workloads").c_str()), 0);
  const auto refused = bpf::HostEnforcer::open(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), ECONNREFUSED);
}

TEST_F(HostDamage, RootWithoutCapabilitiesCannotOpenOrRemoveThePins) {
  close();
  ASSERT_TRUE(bpf::HostEnforcer::teardown_all(options()));
  auto owned = options();
  owned.owner_uid = owned.owner_gid = 64321;
  auto opened = bpf::HostEnforcer::open(owned);
  ASSERT_TRUE(opened) << opened.error().message();
  ASSERT_TRUE(opened->arm({request(cgroup_, {"tcp://192.0.2.1:443"})}).front());
  struct Outcome {
    bool dropped = false;
    int opened = 0, removed = 0;
  };
  const std::string workloads = directory_ + "/v1/layer0/maps/workloads";
  const auto outcome = in_cgroup(cgroup_, [&] {
    Outcome result;
    for (int capability = 0; capability <= 63; ++capability) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    result.dropped = syscall(SYS_capset, &header, data) == 0 && geteuid() == 0;
    result.opened = bpf_obj_get(workloads.c_str());
    result.removed = unlink(workloads.c_str()) == 0 ? 0 : -errno;
    return result;
  });
  EXPECT_TRUE(outcome.dropped);
  EXPECT_LT(outcome.opened, 0);
  EXPECT_EQ(outcome.removed, -EACCES);
  opened = fail(ErrorKind::kNotFound, "closed");
  EXPECT_TRUE(bpf::HostEnforcer::teardown_all(owned));
}

}  // namespace
}  // namespace namewall::kernel_tests
