// Replacing a policy: one step for every verdict, grants kept exactly as far as the new policy allows their names.
#include <atomic>
#include <thread>

#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Replacement : public WorkloadTest {
 protected:
  void SetUp() override {
    WorkloadTest::SetUp();
    zone_.add("keep.test", ip("192.0.2.1"), 600);
    zone_.add("drop.test", ip("192.0.2.2"), 600);
    zone_.add("fresh.test", ip("192.0.2.3"), 600);
    serve_zone();
  }
};

TEST_F(Replacement, GrantsOfNamesThatStayAllowedAreKept) {
  arm(make_policy({"keep.test", "drop.test"}));
  ASSERT_TRUE(look_up_inside("keep.test").delivered());
  ASSERT_TRUE(look_up_inside("drop.test").delivered());
  replace(make_policy({"keep.test"}));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), ECONNREFUSED);
  const auto events = take_events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].reason, NW_REASON_NOT_ALLOWED_NOW);
  EXPECT_EQ(events[0].name, "drop.test");
}

TEST_F(Replacement, NamesThatComeBackOpenTheirLiveGrantsAgain) {
  arm(make_policy({"drop.test"}));
  ASSERT_TRUE(look_up_inside("drop.test").delivered());
  replace(make_policy({"keep.test"}));
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), ECONNREFUSED);
  replace(make_policy({"**.test"}));
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), 0);
}

TEST_F(Replacement, ChangedPortsTakeEffect) {
  arm(make_policy({"tcp://keep.test:443"}));
  ASSERT_TRUE(look_up_inside("keep.test").delivered());
  replace(make_policy({"tcp://*.test:22,80"}));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 443), ECONNREFUSED);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 22), 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 80), 0);
}

TEST_F(Replacement, AddressRulesAndDeniesTakeEffectAtOnce) {
  arm(make_policy({"tcp://198.51.100.0/24:443"}));
  EXPECT_EQ(tcp_inside(ip("198.51.100.1")), 0);
  replace(make_policy({"tcp://198.51.100.0/24:443"}, {"*://198.51.100.1:*"}));
  EXPECT_EQ(tcp_inside(ip("198.51.100.1")), ECONNREFUSED);
  EXPECT_EQ(tcp_inside(ip("198.51.100.2")), 0);
}

TEST_F(Replacement, AnswerAfterASwapIsJudgedByTheNewPolicy) {
  arm(make_policy({"tcp://keep.test:443", "drop.test"}));
  for (const char* name : {"keep.test", "drop.test"}) {
    replace(make_policy({"tcp://keep.test:443", "drop.test"}));
    dns_->answer_with([&](const ReceivedQuestion& q) {
      replace(make_policy({"tcp://keep.test:22"}));
      return zone_.answerer()(q);
    });
    const auto outcome = look_up_inside(name);
    EXPECT_EQ(outcome.delivered(), std::string(name) == "keep.test");
  }
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 22), 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 443), ECONNREFUSED);
  EXPECT_THAT(granted_addresses(), ElementsAre("192.0.2.1"));
  EXPECT_EQ(count_of(NW_REASON_ANSWER_WITHDRAWN), 1u);
}

TEST_F(Replacement, TenThousandRulesReplaceTenThousand) {
  std::vector<std::string> first, second;
  for (int i = 0; i < 10'000; ++i) {
    first.push_back("a" + std::to_string(i) + ".bulk.test");
    second.push_back("b" + std::to_string(i) + ".bulk.test");
  }
  arm(make_policy(first));
  EXPECT_TRUE(look_up_inside("a9999.bulk.test").delivered());
  for (int round = 0; round < 4; ++round) {  // what the old policy held must be given back
    replace(make_policy(round % 2 == 0 ? second : first));
  }
  replace(make_policy(second));
  EXPECT_TRUE(look_up_inside("b9999.bulk.test").delivered());
  EXPECT_EQ(look_up_inside("a9999.bulk.test").send_error, EPERM);
}

TEST_F(Replacement, PolicyThatDoesNotFitLeavesTheOldOneInForce) {
  arm(make_policy({"keep.test"}));
  std::vector<std::string> too_many;
  for (int i = 0; i < 70'000; ++i) too_many.push_back("a" + std::to_string(i) + ".bulk.test");
  const auto replaced = enforcer_->replace(workload_, compile(make_policy(too_many)), false);
  EXPECT_FALSE(replaced);
  EXPECT_TRUE(look_up_inside("keep.test").delivered());
  EXPECT_EQ(look_up_inside("a1.bulk.test").send_error, EPERM);
  replace(make_policy({"fresh.test"}));  // the failed attempt left its room free
  EXPECT_TRUE(look_up_inside("fresh.test").delivered());
}

// Both policies agree on some verdicts: those must hold at every moment. Four processes connect and look up.
void swap_under_load(const ThrowawayCgroup& cgroup, std::size_t acts_per_process,
                     const std::function<void(bool)>& swap) {
  struct Outcome {
    std::size_t acts = 0, wrong_refusals = 0, wrong_passes = 0, lost_lookups = 0, differing_refused = 0;
  };
  std::vector<WorkloadProcess> processes;
  for (int p = 0; p < 4; ++p) {
    processes.emplace_back(cgroup, [acts_per_process] {
      Outcome outcome;
      for (; outcome.acts < acts_per_process; ++outcome.acts) {
        switch (outcome.acts % 5) {
          case 0:
            outcome.wrong_refusals += udp_connect(ip("192.0.2.1"), 443) != 0;
            break;  // keep.test, in both
          case 1:
            outcome.wrong_refusals += tcp_connect(ip("198.51.100.1"), 443) != 0;
            break;  // address rule, in both
          case 2:
            outcome.wrong_passes += udp_connect(ip("203.0.113.66"), 443) != ECONNREFUSED;
            break;  // in neither
          case 3:
            outcome.lost_lookups += !look_up(resolver(), "keep.test", 1, milliseconds(2000)).delivered();
            break;
          case 4:
            outcome.differing_refused += udp_connect(ip("192.0.2.2"), 443) != 0;
            break;  // in one of them
        }
      }
      return std::string(reinterpret_cast<const char*>(&outcome), sizeof(outcome));
    });
  }
  std::atomic<bool> stop{false};
  std::atomic<int> swaps{0};
  std::thread swapper([&] {
    for (bool which = false; !stop; which = !which, ++swaps) swap(which);
  });
  Outcome total;
  for (auto& process : processes) {
    const auto bytes = process.wait(std::chrono::minutes(20));
    Outcome one;
    ASSERT_EQ(bytes.size(), sizeof(one));
    std::memcpy(&one, bytes.data(), sizeof(one));
    total.acts += one.acts;
    total.wrong_refusals += one.wrong_refusals;
    total.wrong_passes += one.wrong_passes;
    total.lost_lookups += one.lost_lookups;
    total.differing_refused += one.differing_refused;
  }
  stop = true;
  swapper.join();
  EXPECT_EQ(total.acts, 4 * acts_per_process);
  EXPECT_EQ(total.wrong_refusals, 0u);
  EXPECT_EQ(total.wrong_passes, 0u);
  EXPECT_EQ(total.lost_lookups, 0u);
  EXPECT_GT(total.differing_refused, 0u) << "the swaps were seen";
  EXPECT_LT(total.differing_refused, total.acts / 5) << "the swaps were seen";
  EXPECT_GT(swaps, 10);
  testing::Test::RecordProperty("swaps", swaps);
}

class ReplacementUnderLoad : public Replacement {
 protected:
  void run(std::size_t acts) {
    const auto one = compile(make_policy({"keep.test", "drop.test", "tcp://198.51.100.0/24:443"}));
    const auto two = compile(make_policy({"*.test", "tcp://198.51.100.1:443"}, {"drop.test"}));
    arm(make_policy({"keep.test", "drop.test", "tcp://198.51.100.0/24:443"}));
    ASSERT_TRUE(look_up_inside("keep.test").delivered());
    ASSERT_TRUE(look_up_inside("drop.test").delivered());
    swap_under_load(cgroup_, acts / 4, [&](bool which) {
      const auto replaced = enforcer_->replace(workload_, which ? one : two, false);
      ASSERT_TRUE(replaced) << replaced.error().message();
    });
    EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0) << "the grant outlived every swap";
  }
};

TEST_F(ReplacementUnderLoad, NoVerdictIsWrongWhilePoliciesAreSwapped) { run(40'000); }
TEST_F(ReplacementUnderLoad, SoakNoVerdictIsWrongInAHundredThousandActs) { run(100'000); }

}  // namespace
}  // namespace namewall::kernel_tests
