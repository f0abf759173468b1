// What holds before and without any rule: everything is refused, at once and with ECONNREFUSED.
#include <algorithm>
#include <vector>

#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::Contains;
using testing::Each;

class FailClosed : public WorkloadTest {};

TEST_F(FailClosed, PolicyWithoutRulesRefusesEveryDestination) {
  arm(make_policy({}));
  struct Outcomes {
    int tcp4, tcp6, udp4, udp6, sendto4, sendto6;
  };
  const auto outcomes = in_cgroup(cgroup_, [] {
    return Outcomes{tcp_connect(ip("192.0.2.1"), 443), tcp_connect(ip("2001:db8::1"), 443),
                    udp_connect(ip("192.0.2.1"), 443), udp_connect(ip("2001:db8::1"), 443),
                    udp_send_to(ip("192.0.2.1"), 443), udp_send_to(ip("2001:db8::1"), 443)};
  });
  EXPECT_EQ(outcomes.tcp4, ECONNREFUSED);
  EXPECT_EQ(outcomes.tcp6, ECONNREFUSED);
  EXPECT_EQ(outcomes.udp4, ECONNREFUSED);
  EXPECT_EQ(outcomes.udp6, ECONNREFUSED);
  EXPECT_EQ(outcomes.sendto4, ECONNREFUSED);
  EXPECT_EQ(outcomes.sendto6, ECONNREFUSED);
  EXPECT_EQ(far_->connections(), 0u);
  EXPECT_EQ(far_->datagrams(), 0u);
  EXPECT_THAT(take_reasons(), Each("not_looked_up"));
}

TEST_F(FailClosed, PolicyWithoutRulesLetsNoQuestionOut) {
  zone_.add("example.com", ip("192.0.2.1"));
  serve_zone();
  arm(make_policy({}));
  EXPECT_NE(look_up_inside("example.com").send_error, 0);
  EXPECT_TRUE(dns_->questions().empty());
  EXPECT_THAT(take_reasons(), Contains("name_not_allowed"));
}

TEST_F(FailClosed, RefusalsComeInUnderAMillisecond) {
  arm(make_policy({}));
  const auto median_ns = in_cgroup(cgroup_, [] {
    std::vector<std::int64_t> times;
    for (int i = 0; i < 101; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      if (tcp_connect(ip("192.0.2.1"), 443) != ECONNREFUSED) return std::int64_t{-1};
      times.push_back((std::chrono::steady_clock::now() - begin).count());
    }
    std::nth_element(times.begin(), times.begin() + 50, times.end());
    return times[50];
  });
  EXPECT_GT(median_ns, 0) << "a connect was not refused";
  EXPECT_LT(median_ns, 1'000'000);
}

TEST_F(FailClosed, ProcessesOutsideTheCgroupAreUntouched) {
  arm(make_policy({}));
  EXPECT_EQ(tcp_connect(ip("192.0.2.1"), 443), 0);
  EXPECT_EQ(tcp_connect(ip("2001:db8::1"), 443), 0);
}

TEST_F(FailClosed, ChildCgroupsAreHeldToo) {
  arm(make_policy({}));
  const ThrowawayCgroup child(cgroup_);
  EXPECT_EQ(in_cgroup(child, [] { return tcp_connect(ip("192.0.2.1"), 443); }), ECONNREFUSED);
}

TEST_F(FailClosed, NestedWorkloadsGetTheIntersection) {
  arm(make_policy({"tcp://192.0.2.1:443", "tcp://192.0.2.2:443"}));
  const ThrowawayCgroup child(cgroup_);
  arm_other(child, make_policy({"tcp://192.0.2.2:443", "tcp://192.0.2.3:443"}));
  const auto inside_child = [&](const char* address) {
    return in_cgroup(child, [&] { return tcp_connect(ip(address), 443); });
  };
  EXPECT_EQ(inside_child("192.0.2.1"), ECONNREFUSED);
  EXPECT_EQ(inside_child("192.0.2.2"), 0);
  EXPECT_EQ(inside_child("192.0.2.3"), ECONNREFUSED);
}

TEST_F(FailClosed, DisarmingGivesTheCgroupBack) {
  arm(make_policy({"tcp://192.0.2.1:443"}));
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), ECONNREFUSED);
  ASSERT_TRUE(enforcer_->disarm(cgroup_.fd(), workload_));
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), 0);
}

}  // namespace
}  // namespace namewall::kernel_tests
