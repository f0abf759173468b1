// Workloads above and below one another: only what all of them allow passes.
#include "tests/kernel/support/host_test.h"

namespace namewall::kernel_tests {
namespace {

class HostNesting : public HostTest {
 protected:
  ThrowawayCgroup outer_, inner_{outer_};
};

TEST_F(HostNesting, TheInnerPolicyOnlyNarrows) {
  open();
  EXPECT_EQ(arm(outer_, {"tcp://192.0.2.1:443", "tcp://192.0.2.2:443"}).layer, 0u);
  EXPECT_EQ(arm(inner_, {"tcp://192.0.2.2:443", "tcp://192.0.2.3:443"}).layer, 1u);
  EXPECT_EQ(tcp_in(outer_, "192.0.2.1"), 0);
  EXPECT_EQ(tcp_in(outer_, "192.0.2.3"), ECONNREFUSED);
  EXPECT_EQ(tcp_in(inner_, "192.0.2.1"), ECONNREFUSED);
  EXPECT_EQ(tcp_in(inner_, "192.0.2.2"), 0);
  EXPECT_EQ(tcp_in(inner_, "192.0.2.3"), ECONNREFUSED);
}

TEST_F(HostNesting, ThePolicyAboveMayComeLater) {
  open();
  EXPECT_EQ(arm(inner_, {"tcp://192.0.2.2:443"}).layer, 0u);
  EXPECT_EQ(arm(outer_, {"tcp://192.0.2.1:443"}).layer, 1u);
  EXPECT_EQ(tcp_in(inner_, "192.0.2.2"), ECONNREFUSED);
}

TEST_F(HostNesting, NeighboursShareALayer) {
  open();
  const ThrowawayCgroup neighbour(outer_);
  EXPECT_EQ(arm(inner_, {}).layer, 0u);
  EXPECT_EQ(arm(neighbour, {}).layer, 0u);
}

TEST_F(HostNesting, BothLearnFromOneAnswer) {
  zone_.add("example.com", ip("192.0.2.1"), 600);
  serve_zone();
  open();
  arm(outer_, {"example.com", "other.test"});
  arm(inner_, {"example.com"});
  EXPECT_TRUE(look_up_in(inner_, "example.com").delivered());
  EXPECT_EQ(tcp_in(inner_, "192.0.2.1"), 0);
  EXPECT_FALSE(look_up_in(inner_, "other.test").delivered());
}

TEST_F(HostNesting, ANextProcessKnowsTheLayers) {
  open();
  arm(outer_, {"tcp://192.0.2.1:443"});
  arm(inner_, {"tcp://192.0.2.1:443"});
  open();
  EXPECT_EQ(host_->adoption().workloads, 2u);
  const ThrowawayCgroup innermost(inner_), neighbour;
  EXPECT_EQ(arm(innermost, {}).layer, 2u);
  EXPECT_EQ(arm(neighbour, {}).layer, 0u);
  EXPECT_EQ(host_->event_fds().size(), 3u);
}

TEST_F(HostNesting, EventsOfEveryLayerSayWhoseTheyAre) {
  open();
  arm(outer_, {"tcp://192.0.2.1:443"});
  const auto inner = arm(inner_, {});
  EXPECT_EQ(tcp_in(inner_, "192.0.2.1"), ECONNREFUSED);
  std::vector<std::uint64_t> cgroups;
  const auto taken = host_->consume_events(100, [&](const Event& event) { cgroups.push_back(event.cgroup_id); });
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_THAT(cgroups, testing::ElementsAre(inner.cgroup_id));
}

}  // namespace
}  // namespace namewall::kernel_tests
