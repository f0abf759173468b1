// The live proof against the real programs, and in cgroups that give it no room.
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "agent/host/proof_probe.h"
#include "tests/kernel/support/helper_loop.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using agent::ProofOutcome;
using agent::ProofPlan;
using agent::ProofView;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Obstacle = ProofOutcome::Obstacle;

std::vector<std::string> children_of(const ThrowawayCgroup& cgroup) {
  std::vector<std::string> names;
  DIR* directory = opendir(cgroup.path().c_str());
  while (const dirent* entry = directory == nullptr ? nullptr : readdir(directory)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  if (directory != nullptr) closedir(directory);
  return names;
}

bool write_to(const std::string& path, const std::string& text) {
  return bool(std::ofstream(path) << text << std::flush);
}

std::string text_of(const ProofView& view) {
  std::string text;
  for (const std::string& step : view.steps) text += step + "\n";
  return text;
}

// Of the process and the children that it has waited for.
double cpu_milliseconds(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  double ticks = 0;
  std::string field;
  for (int number = 3; number <= 17 && fields >> field; ++number) {  // proc_pid_stat(5): utime, stime, cutime, cstime
    if (number >= 14) ticks += std::stod(field);
  }
  return ticks * 1000 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

class LiveProof : public WorkloadTest {
 protected:
  // Each run has a fresh plan.
  ProofView prove(const Policy& policy) {
    plan_ = agent::plan_proof(compile(policy), ++nonce_);
    outcome_ = agent::run_proof(cgroup_.fd(), plan_);
    return agent::describe_proof("builder", plan_, outcome_);
  }
  std::uint64_t nonce_ = 0;
  ProofPlan plan_;
  ProofOutcome outcome_;
};

TEST_F(LiveProof, PassesInAnArmedWorkload) {
  const Policy policy = make_policy({"registry.test"});
  arm(policy);
  const ProofView view = prove(policy);
  EXPECT_TRUE(view.passed) << text_of(view);
  EXPECT_TRUE(outcome_.in_own_cgroup);
  EXPECT_LT(outcome_.address.took, std::chrono::milliseconds(1));
  EXPECT_THAT(children_of(cgroup_), IsEmpty());
}

TEST_F(LiveProof, FailsWhereNothingIsArmed) {
  const ProofView view = prove(make_policy({"registry.test"}));
  EXPECT_FALSE(view.passed) << text_of(view);
  EXPECT_EQ(outcome_.address.outcome, agent::ProofStep::Outcome::kOtherwise);
  EXPECT_EQ(outcome_.name.outcome, agent::ProofStep::Outcome::kOtherwise);
  EXPECT_THAT(children_of(cgroup_), IsEmpty());
}

TEST_F(LiveProof, ItsEventsAreRecognised) {
  const Policy policy = make_policy({});
  arm(policy);
  take_events();
  prove(policy);
  const auto events = take_events();
  EXPECT_EQ(events.size(), 2u);
  for (const Event& event : events) {
    EXPECT_TRUE(agent::is_of_proof(plan_, event)) << code_of(event.reason);
    EXPECT_EQ(event.pid, outcome_.pid);
  }
  tcp_inside(ip("192.0.2.1"));
  for (const Event& event : take_events()) EXPECT_FALSE(agent::is_of_proof(plan_, event));
}

TEST_F(LiveProof, WorksBesideTheWorkloadsOwnProcessesAndChildren) {
  const Policy policy = make_policy({});
  arm(policy);
  const ThrowawayCgroup child(cgroup_);
  Rendezvous turn;
  WorkloadProcess process(cgroup_, [&turn] { return turn.arrive_and_wait(), std::string(); });
  ASSERT_TRUE(turn.await_arrival());
  EXPECT_TRUE(prove(policy).passed);
  turn.release();
}

TEST_F(LiveProof, IsNotRunInAFrozenWorkloadAndDoesNotWait) {
  const Policy policy = make_policy({});
  arm(policy);
  ASSERT_TRUE(write_to(cgroup_.path() + "/cgroup.freeze", "1"));
  const auto since = std::chrono::steady_clock::now();
  const ProofView view = prove(policy);
  EXPECT_LT(std::chrono::steady_clock::now() - since, std::chrono::milliseconds(100));
  EXPECT_THAT(view.steps, ElementsAre("not run: the workload is frozen (cgroup.freeze)"));
  EXPECT_THAT(children_of(cgroup_), IsEmpty());
  ASSERT_TRUE(write_to(cgroup_.path() + "/cgroup.freeze", "0"));
  EXPECT_TRUE(prove(policy).passed);
}

TEST_F(LiveProof, FallsBackToTheCgroupItselfWhereItMayHaveNoChildren) {
  const Policy policy = make_policy({});
  arm(policy);
  ASSERT_TRUE(write_to(cgroup_.path() + "/cgroup.max.descendants", "0"));
  const ProofView view = prove(policy);
  EXPECT_TRUE(view.passed) << text_of(view);
  EXPECT_FALSE(outcome_.in_own_cgroup);
}

TEST_F(LiveProof, FallsBackToTheCgroupItselfWhereItIsThreaded) {
  // A child of a threaded cgroup takes no process.
  const ThrowawayCgroup threaded(cgroup_);
  ASSERT_TRUE(write_to(threaded.path() + "/cgroup.type", "threaded"));
  const auto plan = agent::plan_proof(compile(make_policy({})), 1);
  const ProofOutcome outcome = agent::run_proof(threaded.fd(), plan);
  EXPECT_EQ(outcome.obstacle, Obstacle::kNone);
  EXPECT_FALSE(outcome.in_own_cgroup);
  EXPECT_THAT(children_of(threaded), IsEmpty());
}

TEST_F(LiveProof, IsNotRunInACgroupThatIsGone) {
  auto gone = std::make_unique<ThrowawayCgroup>(cgroup_);
  const OwnedFd directory(open(gone->path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  gone.reset();
  const auto plan = agent::plan_proof(compile(make_policy({})), 1);
  EXPECT_EQ(agent::run_proof(directory.get(), plan).obstacle, Obstacle::kGone);
}

TEST_F(LiveProof, SweepsWhatADeadProverLeftAndNothingElse) {
  const std::string dead = cgroup_.path() + "/" + agent::kProbePrefix + "4194303";  // above pid_max
  const std::string alive = cgroup_.path() + "/" + agent::kProbePrefix + std::to_string(getppid());
  const std::string foreign = cgroup_.path() + "/" + agent::kProbePrefix + "x";
  for (const std::string& path : {dead, alive, foreign}) ASSERT_EQ(mkdir(path.c_str(), 0755), 0);
  prove(make_policy({}));
  EXPECT_NE(access(dead.c_str(), F_OK), 0);
  EXPECT_EQ(access(alive.c_str(), F_OK), 0);
  EXPECT_EQ(access(foreign.c_str(), F_OK), 0);
}

TEST_F(LiveProof, ThroughTheHelperCostsAFewMilliseconds) {
  const Policy policy = make_policy({});
  arm(policy);
  auto helper = start_helper();
  constexpr int kProofs = 200;
  std::chrono::nanoseconds total{};
  const auto since = std::chrono::steady_clock::now();
  for (int i = 0; i < kProofs; ++i) {
    const auto plan = agent::plan_proof(compile(policy), static_cast<std::uint64_t>(1000 + i));
    const auto outcome = answer_of<ProofOutcome>(
        helper, [&](auto done) { helper.prove(cgroup_.fd(), plan, boot_now(), std::move(done)); });
    ASSERT_TRUE(outcome) << outcome.error().message();
    ASSERT_TRUE(agent::describe_proof("builder", plan, *outcome).passed);
    total += outcome->took;
  }
  const std::chrono::duration<double, std::milli> all = std::chrono::steady_clock::now() - since;
  const std::chrono::duration<double, std::milli> inside = total;
  std::printf("a live proof: %.2f ms, %.2f ms with the helper's round trip, %.2f ms of a core\n",
              inside.count() / kProofs, all.count() / kProofs, cpu_milliseconds(helper.pid()) / kProofs);
  EXPECT_LT(all.count() / kProofs, 50.0);
  EXPECT_THAT(children_of(cgroup_), IsEmpty());
}

}  // namespace
}  // namespace namewall::kernel_tests
