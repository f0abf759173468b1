// The pinned maps, read beside the process that holds them.
#include "bpf/pinned_view.h"

#include "agent/client/kernel_sets.h"
#include "tests/kernel/support/host_test.h"

namespace namewall::kernel_tests {
namespace {

class PinnedView : public HostTest {
 protected:
  void SetUp() override {
    HostTest::SetUp();
    zone_.add("example.com", ip("192.0.2.1"), 600);
    zone_.add("other.example.com", ip("192.0.2.1"), 600);
    serve_zone();
  }
  ThrowawayCgroup cgroup_;
};

TEST_F(PinnedView, SaysWhatTheHolderSaysWhileItHoldsThePins) {
  open();
  const auto armed = arm(cgroup_, {"example.com", "other.example.com"});
  ASSERT_TRUE(look_up_in(cgroup_, "example.com").delivered());
  ASSERT_TRUE(look_up_in(cgroup_, "other.example.com").delivered());
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
  const auto workloads = bpf::read_pinned_workloads(directory_);
  ASSERT_TRUE(workloads) << workloads.error().message();
  ASSERT_EQ(workloads->size(), 1u);
  const bpf::PinnedWorkload& workload = workloads->front();
  EXPECT_EQ(workload.cgroup_id, armed.cgroup_id);
  EXPECT_EQ(workload.generation, armed.generation);
  EXPECT_FALSE(workload.cgroup.empty());
  EXPECT_EQ(workload.unread, "");
  const auto records = host_->read_grants(armed.cgroup_id);
  ASSERT_TRUE(records);
  ASSERT_EQ(workload.grants.size(), records->size());
  for (const bpf::PinnedGrant& grant : workload.grants) {
    const auto same = std::find_if(records->begin(), records->end(), [&](const GrantRecord& record) {
      return record.grant.name.text() == grant.name && record.grant.address == grant.address;
    });
    ASSERT_NE(same, records->end()) << grant.name;
    EXPECT_EQ(grant.deadline, same->grant.deadline);
    EXPECT_EQ(grant.mask, same->current_ports);
    EXPECT_EQ(grant.hits, same->hits);
  }

  agent::KernelSets sets;
  ASSERT_TRUE(agent::read_bpf(directory_, boot_now(), sets));
  ASSERT_EQ(sets.elements.size(), 1u);  // one address and port, two names
  EXPECT_EQ(sets.elements[0].names.size(), 2u);
  EXPECT_EQ(sets.elements[0].ports.first, Port{443});
  EXPECT_GT(sets.elements[0].left, std::chrono::minutes(1));
}

TEST_F(PinnedView, IsEmptyWhereNothingIsPinned) {
  const auto workloads = bpf::read_pinned_workloads(directory_ + "-none");
  ASSERT_TRUE(workloads);
  EXPECT_TRUE(workloads->empty());
}

}  // namespace
}  // namespace namewall::kernel_tests
