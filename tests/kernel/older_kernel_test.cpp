// Kernels without bpf_loop and bpf_set_retval, played by this one: the programs are loaded without calling them.
#include <thread>

#include "tests/kernel/support/lesson_builder.h"
#include "tests/kernel/support/test_proxy.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class OlderKernel : public WorkloadTest {
 protected:
  explicit OlderKernel(bool use_marks = true) {
    load_options_.use_marks = use_marks;
    load_options_.kernel = {.has_loop = false, .has_set_retval = false};
  }
  void SetUp() override {
    WorkloadTest::SetUp();
    zone_.add("example.com", ip("192.0.2.1"));
    proxy_ = std::make_unique<TestProxy>(resolver(), zone_.answerer());
    for (const Protocol protocol : {Protocol::kUdp, Protocol::kTcp})
      ASSERT_TRUE(enforcer_->add_proxy_place(proxy_->place(protocol)));
  }
  static Policy proxied(const std::vector<std::string>& allow) {
    auto policy = make_policy(allow);
    policy.dns.learn = Learn::kProxy;
    return policy;
  }
  static Lesson lesson(const Policy& policy, const std::string& name, const std::vector<std::string>& addresses) {
    return make_lesson(compile(policy), name, addresses, boot_now() + std::chrono::seconds(60));
  }
  Reason teach(const Lesson& lesson) { return enforcer_->teach(workload_.cgroup_id, lesson, boot_now()); }

  std::unique_ptr<TestProxy> proxy_;
};

class OlderKernelWithoutMarks : public OlderKernel {
 protected:
  OlderKernelWithoutMarks() : OlderKernel(false) {}
};

TEST_F(OlderKernel, AsksTheProxyLearnsFromItsLessonsAndRefusesTheRest) {
  const auto policy = proxied({"tcp://example.com:443"});
  arm(policy);
  EXPECT_TRUE(look_up_inside("example.com").delivered());
  const auto questions = proxy_->await(1);
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(enforcer_->cgroup_of_token(questions[0].token()), workload_.cgroup_id);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), EPERM) << "nothing was taught yet";
  ASSERT_EQ(teach(lesson(policy, "example.com", {"192.0.2.1"})), NW_REASON_NONE);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 80), EPERM);
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), EPERM);
  EXPECT_THAT(take_reasons(), ElementsAre("not_looked_up", "port", "not_looked_up"));
}

TEST_F(OlderKernel, ReadsNoQuestions) {
  serve_zone();
  arm(make_policy({"example.com"}));
  EXPECT_NE(look_up_inside("example.com").send_error, 0);
  EXPECT_THAT(dns_->questions(), IsEmpty());
  EXPECT_THAT(take_reasons(), ElementsAre("question_busy"));
}

TEST_F(OlderKernel, LearnsAsManyAddressesAsAnAnswerHas) {
  const auto policy = proxied({"tcp://example.com:443"});
  arm(policy);
  std::vector<std::string> addresses;
  for (int i = 1; i <= 200; ++i) addresses.push_back("192.0.3." + std::to_string(i));
  ASSERT_EQ(teach(lesson(policy, "example.com", addresses)), NW_REASON_NONE);
  EXPECT_EQ(granted_addresses().size(), addresses.size());
}

TEST_F(OlderKernel, EndsNothingThatALaterAnswerLeavesOut) {
  const auto policy = proxied({"tcp://example.com:443"});
  arm(policy);
  auto replacing = lesson(policy, "example.com", {"192.0.2.1"});
  replacing.replaces_family = 4;
  EXPECT_EQ(teach(replacing), NW_REASON_TEACHING_FAILED) << "choose_learning refuses such policies";
}

TEST_F(OlderKernel, JudgesNamesAgainButNotThoseBelowInnerWildcards) {
  const auto policy = proxied({"tcp://example.com:443", "tcp://*.wild.test:443", "tcp://a*.glob.test:443"});
  arm(policy);
  ASSERT_EQ(teach(lesson(policy, "example.com", {"192.0.2.1"})), NW_REASON_NONE);
  ASSERT_EQ(teach(lesson(policy, "x.wild.test", {"192.0.2.2"})), NW_REASON_NONE);
  ASSERT_EQ(teach(lesson(policy, "ab.glob.test", {"192.0.2.3"})), NW_REASON_NONE);
  EXPECT_EQ(tcp_inside(ip("192.0.2.3")), 0);
  auto next = proxied({"tcp://example.com:443", "tcp://*.wild.test:443", "tcp://a*.glob.test:443", "other.test"});
  replace(next);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.3")), EPERM) << "until its next lookup";
  ASSERT_EQ(teach(lesson(next, "ab.glob.test", {"192.0.2.3"})), NW_REASON_NONE);
  EXPECT_EQ(tcp_inside(ip("192.0.2.3")), 0);
}

TEST_F(OlderKernelWithoutMarks, SaysWhoAsks) {
  arm(proxied({"example.com"}));
  EXPECT_TRUE(look_up_inside("example.com").delivered());
  const auto questions = proxy_->await(1);
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(enforcer_->take_asker({.netns_cookie = bpf::netns_cookie().value_or(0),
                                   .address = questions[0].peer.address(),
                                   .port = Port{questions[0].peer.port()},
                                   .message = questions[0].bytes}),
            workload_.cgroup_id);
}

}  // namespace
}  // namespace namewall::kernel_tests
