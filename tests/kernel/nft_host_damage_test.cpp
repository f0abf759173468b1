// nft::HostEnforcer: what it finds after it was away, and after somebody else was at its table.
#include <sched.h>
#include <sys/wait.h>

#include <thread>

#include "tests/kernel/support/nft_host_test.h"

namespace namewall::kernel_tests {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class NftHostDamage : public NftHostTest {
 protected:
  // A workload that may go to 192.0.2.1 because of a name, and to 198.51.100.1 by address.
  void arrange() {
    open();
    image_ = image_of({"tcp://a.test:443", "tcp://198.51.100.1:443"});
    arm(cgroup_, image_);
    ASSERT_EQ(teach(cgroup_, *image_, "a.test", {"192.0.2.1"}), NW_REASON_NONE);
  }
  void expect_enforced() {
    EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
    EXPECT_EQ(tcp_in(cgroup_, "198.51.100.1"), 0);
    EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), ECONNREFUSED);
  }
  std::shared_ptr<const PolicyImage> image_;
};

TEST_F(NftHostDamage, ClosingChangesNothingAndOpeningAdopts) {
  for (const bool is_old : {false, true}) {
    if (is_old) become_old_kernel();
    arrange();
    const ArmedCgroup before = *host_->find(id_of(cgroup_));
    close();
    expect_enforced();
    open();
    EXPECT_EQ(host_->adoption().workloads, 1u);
    EXPECT_EQ(host_->adoption().live_grants, 1u);
    EXPECT_FALSE(host_->adoption().programs_replaced);
    expect_enforced();
    const auto adopted = host_->find(id_of(cgroup_));
    ASSERT_TRUE(adopted);
    EXPECT_EQ(adopted->workload_id, before.workload_id);
    EXPECT_EQ(adopted->image_hash, before.image_hash);
    EXPECT_EQ(adopted->cgroup, before.cgroup);
    EXPECT_FALSE(adopted->is_known);
    EXPECT_EQ(host_->recognise(id_of(cgroup_), before.cgroup, image_of({"tcp://b.test:443"})).error().kind,
              ErrorKind::kConflict);
    ASSERT_TRUE(host_->recognise(id_of(cgroup_), before.cgroup, image_));
    EXPECT_TRUE(host_->find(id_of(cgroup_))->is_known);
    expect_enforced();
    const auto drift = host_->find_drift(false);
    EXPECT_EQ(drift->unknown, 0u);
    EXPECT_EQ(drift->missing, 0u);
    EXPECT_THAT(damage(), IsEmpty());
    ASSERT_EQ(teach(cgroup_, *image_, "a.test", {"192.0.2.1", "192.0.2.2"}), NW_REASON_NONE);
    EXPECT_EQ(tcp_in(cgroup_, "192.0.2.2"), 0);
    ASSERT_TRUE(host_->disarm(cgroup_.fd(), id_of(cgroup_)));
    close();
    ASSERT_TRUE(nft::HostEnforcer::teardown_all(options_));
  }
}

TEST_F(NftHostDamage, AnAdoptedPolicyThatIsAnotherNowIsReplacedAndItsGrantsJudged) {
  arrange();
  close();
  open();
  const auto replaced = host_->replace(id_of(cgroup_), image_of({"tcp://a.test:443,80"}), true);
  ASSERT_TRUE(replaced) << replaced.error().message();
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1", 80), 0);
  EXPECT_EQ(tcp_in(cgroup_, "198.51.100.1"), ECONNREFUSED);
  EXPECT_EQ(host_->find_drift(false)->unknown, 0u);
}

TEST_F(NftHostDamage, AProcessThatWasKilledLeavesItsTableToTheNext) {
  const auto image = image_of({"tcp://198.51.100.1:443"});
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto opened = nft::HostEnforcer::open(options_);
    const bool is_armed = opened && opened->arm({request(cgroup_, image)}).front().has_value();
    if (!is_armed) _exit(1);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), ECONNREFUSED);
  open();
  EXPECT_EQ(host_->adoption().workloads, 1u);
  EXPECT_EQ(tcp_in(cgroup_, "198.51.100.1"), 0);
}

TEST_F(NftHostDamage, ATableThatALivingProcessOwnsIsAConflict) {
  arrange();
  const auto second = nft::HostEnforcer::open(options_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kConflict);
}

TEST_F(NftHostDamage, NobodyElseChangesAnOwnedTable) {
  arrange();
  EXPECT_NE(system("nft flush ruleset >/dev/null 2>&1; nft delete table inet namewall >/dev/null 2>&1"), 0);
  expect_enforced();
  EXPECT_THAT(damage(), IsEmpty());
}

TEST_F(NftHostDamage, AFlushedRulesetIsMadeAgain) {
  become_old_kernel();
  arrange();
  run_command({"nft", "flush ruleset"});
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), 0) << "a plain table does not protect itself";
  EXPECT_EQ(host_->seems_detached(), true);
  EXPECT_THAT(damage(), ElementsAre(HasSubstr("deleted")));
  expect_enforced();
  EXPECT_THAT(damage(), IsEmpty());
  EXPECT_EQ(host_->seems_detached(), false);
}

TEST_F(NftHostDamage, AChangeFindsThatTheTableIsGoneAndMakesItAgain) {
  become_old_kernel();
  arrange();
  run_command({"nft", "delete table inet namewall"});
  ASSERT_EQ(teach(cgroup_, *image_, "a.test", {"192.0.2.2"}), NW_REASON_NONE);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.2"), 0);
  expect_enforced();
  EXPECT_THAT(damage(), Contains(HasSubstr("deleted")));
}

TEST_F(NftHostDamage, AForeignAcceptRuleIsRemoved) {
  become_old_kernel();
  arrange();
  run_command({"nft", "insert rule inet namewall output accept"});
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), 0);
  EXPECT_THAT(damage(), Contains(HasSubstr("output")));
  expect_enforced();
}

TEST_F(NftHostDamage, ForeignElementsAreRemovedAndOnesThatWereTakenComeBack) {
  become_old_kernel();
  arrange();
  run_command({"nft", "flush set inet namewall learned4"});
  run_command({"nft", "flush set inet namewall fixed4"});
  const auto drift = host_->find_drift(false);
  ASSERT_TRUE(drift);
  EXPECT_EQ(drift->missing, 2u);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), ECONNREFUSED);
  EXPECT_THAT(damage(), Contains(HasSubstr("2 elements had been removed")));
  expect_enforced();
}

TEST_F(NftHostDamage, AChangeThatMeetsAMissingElementIsMadeAgain) {
  become_old_kernel();
  arrange();
  run_command({"nft", "flush set inet namewall fixed4"});
  ASSERT_TRUE(host_->replace(id_of(cgroup_), image_of({"tcp://a.test:443"}), false));
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
  EXPECT_EQ(tcp_in(cgroup_, "198.51.100.1"), ECONNREFUSED);
  EXPECT_EQ(host_->find_drift(false)->missing, 0u);
}

TEST_F(NftHostDamage, WorkloadsWhoseCgroupWentAwayMeanwhileLeaveNothing) {
  open();
  ThrowawayCgroup gone;
  arm(gone, image_of({"tcp://198.51.100.1:443"}));
  arm(cgroup_, image_of({"tcp://198.51.100.1:443"}));
  close();
  ASSERT_TRUE(gone.remove());
  open();
  EXPECT_EQ(host_->adoption().workloads, 1u);
  EXPECT_EQ(host_->find_drift(false)->unknown, 0u);
}

TEST_F(NftHostDamage, ProxyPlacesOutliveTheProcess) {
  open();
  arm(cgroup_, image_of({"tcp://a.test:443"}));
  const ProxyPlace place{options_.own_netns, {ip("127.0.0.53"), Port{53}}, Protocol::kUdp, Port{5353}};
  ASSERT_TRUE(host_->add_proxy_place(place));
  close();
  open();
  EXPECT_THAT(host_->proxy_places(), ElementsAre(place));
  ASSERT_TRUE(host_->remove_proxy_place(place));
  EXPECT_EQ(host_->find_drift(false)->unknown, 0u);
}

TEST_F(NftHostDamage, AnotherNamespaceHasItsWorkloadsToo) {
  arrange();
  // The far namespace is somebody else's: here it stands for a container's.
  nft::NetnsSockets sockets;
  network_.in_far([&] {
    auto opened = nft::open_netns_sockets(options_.log_group);
    ASSERT_TRUE(opened) << opened.error().message();
    sockets = std::move(*opened);
  });
  ASSERT_TRUE(host_->enter_netns(7, std::move(sockets), {id_of(cgroup_)}));
  const auto from_far = [&](const std::string& address) {
    return in_cgroup(cgroup_, [&] {
      if (setns(network_.far_netns(), CLONE_NEWNET) != 0) return errno;
      return tcp_connect(ip(address), 443);
    });
  };
  EXPECT_EQ(from_far("192.0.2.1"), 0);
  EXPECT_EQ(from_far("192.0.2.9"), ECONNREFUSED);
  ASSERT_EQ(teach(cgroup_, *image_, "a.test", {"192.0.2.9"}), NW_REASON_NONE);
  EXPECT_EQ(from_far("192.0.2.9"), 0);
  EXPECT_EQ(host_->namespaces(), (std::vector<std::uint64_t>{options_.own_netns, 7}));
  host_->leave_netns(7);
  EXPECT_EQ(from_far("192.0.2.77"), 0);
}

}  // namespace
}  // namespace namewall::kernel_tests
