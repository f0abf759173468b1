// What `namewall doctor` says of this kernel, held to what is the case.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "agent/cgroup_tree.h"
#include "agent/doctor_child.h"
#include "agent/doctor_host.h"
#include "agent/doctor_marks.h"
#include "agent/doctor_trial.h"
#include "bpf/enforcer.h"
#include "bpf/kernel_probe.h"
#include "policy/policy_loader.h"
#include "tests/kernel/support/network.h"

namespace namewall::agent {
namespace {

class Doctor : public testing::Test {
 protected:
  void SetUp() override {
    const auto own = find_own_cgroup_directory();
    ASSERT_TRUE(own.has_value());
    auto made = RunCgroup::create(*own);
    ASSERT_TRUE(made.has_value()) << made.error().message();
    cgroup_.emplace(std::move(*made));
  }
  void TearDown() override { EXPECT_TRUE(!cgroup_ || cgroup_->remove().has_value()); }
  std::optional<RunCgroup> cgroup_;
};

TEST_F(Doctor, TrialProvesEveryPointWhereThePolicyHolds) {
  const auto checks = try_policy(*cgroup_);
  EXPECT_EQ(checks.size(), 9u);
  for (const DoctorCheck& check : checks) {
    EXPECT_EQ(check.state, DoctorCheck::State::kHolds) << check.id << ": " << check.sentence;
  }
}

TEST_F(Doctor, TrialSaysWhatDoesNotHold) {
  // An outer policy that allows nothing: the doctor's allowed lookup cannot work, and it has to say so.
  const auto policy = load_policy_arguments({"other.example"}, {});
  const auto image = compile_policy(policy.value, HostPolicy{}, ResolvConf{});
  ASSERT_TRUE(image.has_value());
  auto enforcer = bpf::Enforcer::load({});
  ASSERT_TRUE(enforcer.has_value());
  bpf::ArmOptions options;
  options.trusted_netns = {*bpf::netns_cookie()};
  const auto outer = enforcer->arm(cgroup_->fd(), *image, options);
  ASSERT_TRUE(outer.has_value()) << outer.error().message();
  const auto checks = try_policy(*cgroup_);
  const auto lookup = std::find_if(checks.begin(), checks.end(), [](const DoctorCheck& c) { return c.id == "lookup"; });
  ASSERT_NE(lookup, checks.end());
  EXPECT_EQ(lookup->state, DoctorCheck::State::kMissing);
  EXPECT_TRUE(enforcer->disarm(cgroup_->fd(), *outer).has_value());
}

TEST_F(Doctor, ProbesFindWhatTheProgramsNeed) {
  for (const auto& outcomes : {bpf::probe_hooks(cgroup_->fd()), bpf::probe_maps(), bpf::probe_helpers()}) {
    for (const bpf::ProbeOutcome& outcome : outcomes) {
      EXPECT_TRUE(outcome.works || !outcome.is_required) << outcome.id << " " << outcome.error_number;
    }
  }
}

TEST_F(Doctor, ProbesWithoutCapabilitiesFindNothing) {
  const auto told = ask_child([&]() -> std::string {
    if (setgid(65534) != 0 || setuid(65534) != 0) return "cannot become nobody";
    for (const auto& outcomes : {bpf::probe_hooks(cgroup_->fd()), bpf::probe_helpers()}) {
      for (const bpf::ProbeOutcome& outcome : outcomes) {
        if (outcome.works) return outcome.id + " works";
      }
    }
    return "";
  });
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(*told, "");
}

TEST_F(Doctor, AttachedProgramsAreFoundWhileTheyAreAttached) {
  const auto policy = load_policy_arguments({"other.example"}, {});
  const auto image = compile_policy(policy.value, HostPolicy{}, ResolvConf{});
  const auto before = bpf::find_attached_programs(cgroup_->fd());
  ASSERT_TRUE(before.has_value());
  auto enforcer = bpf::Enforcer::load({});
  ASSERT_TRUE(enforcer.has_value());
  bpf::ArmOptions options;
  options.trusted_netns = {*bpf::netns_cookie()};
  const auto workload = enforcer->arm(cgroup_->fd(), *image, options);
  ASSERT_TRUE(workload.has_value());
  const auto during = bpf::find_attached_programs(cgroup_->fd());
  ASSERT_TRUE(during.has_value());
  EXPECT_GE(during->size(), before->size() + 11);
  EXPECT_TRUE(std::all_of(during->begin() + static_cast<std::ptrdiff_t>(before->size()), during->end(),
                          [](const bpf::AttachedProgram& program) { return program.id != 0; }));
  EXPECT_TRUE(std::any_of(during->begin(), during->end(), [](const bpf::AttachedProgram& p) { return p.is_ours; }));
  EXPECT_TRUE(enforcer->disarm(cgroup_->fd(), *workload).has_value());
}

TEST_F(Doctor, ChildrenStartInsideAndEndThroughTheCgroup) {
  for (const DoctorCheck& check : check_cgroup(*cgroup_)) {
    EXPECT_EQ(check.state, DoctorCheck::State::kHolds) << check.id << ": " << check.sentence;
  }
}

TEST_F(Doctor, MovesChildrenInWhereTheCgroupWasOnceKilled) {
  ASSERT_TRUE(cgroup_->kill_all().has_value());
  for (const DoctorCheck& check : check_cgroup(*cgroup_)) {
    EXPECT_EQ(check.state, DoctorCheck::State::kHolds) << check.id << ": " << check.sentence;
  }
  const auto told = ask_child_in_cgroup(cgroup_->fd(), [] { return find_own_cgroup_directory().value(); }, {});
  ASSERT_TRUE(told.has_value()) << told.error().message();
  EXPECT_TRUE(told->ends_with("/" + cgroup_->name())) << *told;
}

TEST(DoctorMarks, ARuleThatReadsOurBitsIsNamed) {
  std::vector<DoctorCheck> before, after, with_low_bits;
  std::thread([&] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    before = check_marks();
    kernel_tests::run_command({"ip", "rule", "add", "pref", "77", "fwmark", "0x1/0xff", "lookup", "main"});
    with_low_bits = check_marks();
    kernel_tests::run_command(
        {"ip", "-6", "rule", "add", "pref", "78", "fwmark", "0x70000/0xff0000", "lookup", "main"});
    after = check_marks();
  }).join();
  ASSERT_EQ(before.size(), 2u);
  EXPECT_EQ(before[0].state, DoctorCheck::State::kHolds) << before[0].sentence;
  EXPECT_EQ(with_low_bits[0].state, DoctorCheck::State::kHolds) << with_low_bits[0].sentence;
  EXPECT_EQ(after[0].state, DoctorCheck::State::kOptional);
  EXPECT_NE(after[0].sentence.find("IPv6 rule 78 (fwmark 0x70000/0xff0000)"), std::string::npos) << after[0].sentence;
}

}  // namespace
}  // namespace namewall::agent
