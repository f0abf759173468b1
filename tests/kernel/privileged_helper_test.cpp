// The privileged helper and the daemon's dropping of privileges, with real processes and namespaces.
#include "agent/host/privileged_helper.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <fstream>

#include "agent/host/drop_privileges.h"
#include "agent/host/helper_channel.h"
#include "agent/host/helper_process.h"
#include "tests/kernel/support/helper_loop.h"

namespace namewall::kernel_tests {
namespace {

using agent::NetnsList;
using agent::NetnsSockets;
using agent::PrivilegedHelper;

constexpr uid_t kUid = 64321;

std::uint64_t own_cookie() {
  const auto cookie = bpf::netns_cookie();
  return cookie ? *cookie : 0;
}

// A process of the cgroup in a network namespace of its own, which it tells by its cookie.
class ElsewhereProcess {
 public:
  explicit ElsewhereProcess(const ThrowawayCgroup& cgroup) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) ADD_FAILURE() << "pipe";
    const OwnedFd reader(ends[0]);
    OwnedFd writer(ends[1]);
    process_ = std::make_unique<WorkloadProcess>(cgroup, [this, fd = writer.get()] {
      const bool moved = unshare(CLONE_NEWNET) == 0;
      const std::uint64_t cookie = moved ? own_cookie() : 0;
      if (write(fd, &cookie, sizeof cookie) != sizeof cookie) return std::string("pipe");
      turn_.arrive_and_wait();
      return std::string();
    });
    writer.reset();
    if (!turn_.await_arrival() || read(reader.get(), &cookie_, sizeof cookie_) != sizeof cookie_ || cookie_ == 0) {
      ADD_FAILURE() << "the process is in no namespace of its own";
    }
  }
  ~ElsewhereProcess() { turn_.release(); }
  std::uint32_t pid() const { return static_cast<std::uint32_t>(process_->pid()); }
  std::uint64_t cookie() const { return cookie_; }

 private:
  Rendezvous turn_;
  std::uint64_t cookie_ = 0;
  std::unique_ptr<WorkloadProcess> process_;
};

Result<NetnsSockets> open_sockets(PrivilegedHelper& helper, std::uint32_t pid, std::uint64_t cookie) {
  return answer_of<NetnsSockets>(helper,
                                 [&](auto done) { helper.open_sockets(pid, cookie, boot_now(), std::move(done)); });
}

class PrivilegedHelperTest : public testing::Test {
 protected:
  ThrowawayCgroup cgroup_;
  PrivilegedHelper helper_ = start_helper();
};

TEST_F(PrivilegedHelperTest, OpensSocketsInAnotherProcesssNetworkNamespace) {
  const ElsewhereProcess process(cgroup_);
  ASSERT_NE(process.cookie(), own_cookie());
  auto sockets = open_sockets(helper_, process.pid(), process.cookie());
  ASSERT_TRUE(sockets) << sockets.error().message();
  auto answerer = agent::RefusalAnswerer::adopt(std::move(sockets->answers));
  ASSERT_TRUE(answerer);
  EXPECT_EQ(answerer->netns_cookie(), process.cookie());
}

TEST_F(PrivilegedHelperTest, OpensNothingWhereTheNamespaceIsAnother) {
  const ElsewhereProcess process(cgroup_);
  const auto sockets = open_sockets(helper_, process.pid(), process.cookie() + 1);
  ASSERT_FALSE(sockets);
  EXPECT_EQ(sockets.error().kind, ErrorKind::kConflict) << sockets.error().message();
}

TEST_F(PrivilegedHelperTest, OpensNothingForAProcessThatIsGone) {
  const auto sockets = open_sockets(helper_, 4194303, own_cookie());
  ASSERT_FALSE(sockets);
  EXPECT_EQ(sockets.error().kind, ErrorKind::kNotFound) << sockets.error().message();
}

TEST_F(PrivilegedHelperTest, OpensNothingForAProcessOutsideEveryCgroup) {
  const auto sockets = open_sockets(helper_, 2, own_cookie());  // kthreadd is always in the root
  ASSERT_FALSE(sockets);
  EXPECT_EQ(sockets.error().kind, ErrorKind::kConflict) << sockets.error().message();
}

TEST_F(PrivilegedHelperTest, ListsTheNetworkNamespacesOfACgroup) {
  const ElsewhereProcess one(cgroup_), two(cgroup_);
  Rendezvous turn;
  WorkloadProcess here(cgroup_, [&turn] { return turn.arrive_and_wait(), std::string(); });
  ASSERT_TRUE(turn.await_arrival());
  const auto list = answer_of<NetnsList>(
      helper_, [&](auto done) { helper_.list_namespaces(cgroup_.fd(), boot_now(), std::move(done)); });
  turn.release();
  ASSERT_TRUE(list) << list.error().message();
  std::vector<std::uint64_t> cookies;
  for (const auto& netns : list->namespaces) cookies.push_back(netns.cookie);
  EXPECT_THAT(cookies, testing::UnorderedElementsAre(one.cookie(), two.cookie(), own_cookie()));
  EXPECT_TRUE(list->is_complete);
  EXPECT_EQ(list->sockets_elsewhere, 0u);
}

TEST_F(PrivilegedHelperTest, CountsSocketsOfNamespacesThatNoProcessIsIn) {
  Rendezvous turn;
  WorkloadProcess process(cgroup_, [&turn] {
    const OwnedFd left_behind = make_socket(AF_INET, SOCK_DGRAM);
    if (unshare(CLONE_NEWNET) != 0) return std::string("unshare");
    turn.arrive_and_wait();
    return std::string();
  });
  ASSERT_TRUE(turn.await_arrival());
  const auto list = answer_of<NetnsList>(
      helper_, [&](auto done) { helper_.list_namespaces(cgroup_.fd(), boot_now(), std::move(done)); });
  turn.release();
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_EQ(list->sockets_elsewhere, 1u);
}

TEST_F(PrivilegedHelperTest, RefusesADirectoryThatIsNoCgroup) {
  const OwnedFd tmp(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto list = answer_of<NetnsList>(
      helper_, [&](auto done) { helper_.list_namespaces(tmp.get(), boot_now(), std::move(done)); });
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().kind, ErrorKind::kInvalid);
  const auto proof = answer_of<agent::ProofOutcome>(helper_, [&](auto done) {
    helper_.prove(tmp.get(), agent::plan_proof(compile(make_policy({})), 1), boot_now(), std::move(done));
  });
  ASSERT_FALSE(proof);
  EXPECT_EQ(proof.error().kind, ErrorKind::kInvalid);
}

TEST_F(PrivilegedHelperTest, AnswersEveryOneOfManyRequestsAtOnce) {
  std::size_t answers = 0, beyond = 0;
  constexpr std::size_t kRequests = PrivilegedHelper::kMaxWaiting + 10;
  for (std::size_t i = 0; i < kRequests; ++i) {
    helper_.list_namespaces(cgroup_.fd(), boot_now(), [&](Result<NetnsList> list) {
      ++answers;
      if (!list && list.error().kind == ErrorKind::kLimit) ++beyond;
    });
  }
  EXPECT_EQ(answers, 0u) << "called from the request itself";
  EXPECT_TRUE(turn_until(helper_, [&] { return answers == kRequests; })) << answers;
  EXPECT_EQ(beyond, 10u);
  EXPECT_EQ(helper_.waiting(), 0u);
}

TEST_F(PrivilegedHelperTest, ItsDeathIsNoticedAndEndsEveryRequest) {
  kill(helper_.pid(), SIGSTOP);
  std::optional<ErrorKind> first, second;
  helper_.list_namespaces(cgroup_.fd(), boot_now(), [&](Result<NetnsList> list) {
    if (!list) first = list.error().kind;
  });
  kill(helper_.pid(), SIGKILL);
  ASSERT_TRUE(turn_until(helper_, [&] { return first.has_value(); }));
  EXPECT_FALSE(helper_.is_alive());
  helper_.list_namespaces(cgroup_.fd(), boot_now(), [&](Result<NetnsList> list) {
    if (!list) second = list.error().kind;
  });
  helper_.expire(boot_now());
  EXPECT_EQ(first, ErrorKind::kSystem);
  EXPECT_EQ(second, ErrorKind::kSystem);
}

TEST_F(PrivilegedHelperTest, AHelperThatDoesNotAnswerIsNotWaitedForBeyondTheDeadline) {
  kill(helper_.pid(), SIGSTOP);
  std::optional<ErrorKind> outcome;
  helper_.list_namespaces(cgroup_.fd(), boot_now(), [&](Result<NetnsList> list) {
    if (!list) outcome = list.error().kind;
  });
  helper_.expire(boot_now());
  EXPECT_FALSE(outcome);
  const auto deadline = helper_.next_deadline();
  ASSERT_TRUE(deadline);
  helper_.expire(*deadline);
  EXPECT_EQ(outcome, ErrorKind::kLimit);
  kill(helper_.pid(), SIGCONT);
}

std::string status_of(pid_t pid, const std::string& key) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":\t")) return line.substr(key.size() + 2);
  }
  return "";
}

TEST_F(PrivilegedHelperTest, KeepsNoMoreCapabilitiesThanItsTasksNeed) {
  // Any answer: it has dropped by then.
  (void)open_sockets(helper_, 4194303, 1);
  std::uint64_t expected = 0;
  for (const int kept : {CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_NET_RAW,
                         CAP_NET_ADMIN, CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_KILL}) {
    expected |= std::uint64_t{1} << kept;
  }
  for (const char* set : {"CapEff", "CapPrm", "CapBnd"}) {
    EXPECT_EQ(std::stoull(status_of(helper_.pid(), set), nullptr, 16), expected) << set;
  }
  EXPECT_EQ(status_of(helper_.pid(), "NoNewPrivs"), "1");
}

bool is_gone(pid_t pid) {
  for (int attempt = 0; attempt < 200; ++attempt) {
    const std::string state = status_of(pid, "State");
    if (state.empty() || state[0] == 'Z') return true;
    usleep(10000);
  }
  return false;
}

TEST(PrivilegedHelperLife, EndsWithTheDaemonHoweverThatEnds) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t daemon = fork();
  if (daemon == 0) {
    const auto helper = PrivilegedHelper::start();
    const pid_t pid = helper ? helper->pid() : 0;
    if (write(ends[1], &pid, sizeof pid) != sizeof pid) _exit(1);
    pause();
    _exit(0);
  }
  pid_t helper = 0;
  ASSERT_EQ(read(ends[0], &helper, sizeof helper), static_cast<ssize_t>(sizeof helper));
  close(ends[0]);
  close(ends[1]);
  ASSERT_GT(helper, 0);
  kill(daemon, SIGKILL);
  waitpid(daemon, nullptr, 0);
  EXPECT_TRUE(is_gone(helper));
}

TEST(PrivilegedHelperLife, AMalformedMessageIsNotServedAndDoesNotEndIt) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  OwnedFd ours(ends[0]);
  const pid_t helper = fork();
  if (helper == 0) {
    ours.reset();
    agent::run_privileged_helper(ends[1]);
  }
  close(ends[1]);
  EXPECT_EQ(write(ours.get(), "x", 1), 1);
  agent::HelperRequest request = agent::make_request(agent::HelperTask::kInspect, 77);
  request.task = 99;
  ASSERT_TRUE(agent::send_request(ours.get(), request, {}));
  pollfd ready{ours.get(), POLLIN, 0};
  ASSERT_EQ(poll(&ready, 1, 3000), 1);
  agent::Received<agent::HelperAnswer> answer;
  ASSERT_EQ(agent::receive_answer(ours.get(), answer), agent::ReceiveOutcome::kMessage);
  EXPECT_EQ(answer.message.id, 77u);
  EXPECT_EQ(answer.message.error, 1 + static_cast<std::uint32_t>(ErrorKind::kInvalid));
  ours.reset();
  EXPECT_TRUE(is_gone(helper));
  waitpid(helper, nullptr, 0);
}

// The daemon as it runs: another user with four capabilities, and the helper it started before.
TEST(DroppedDaemon, StillHasTheHelperPassItSockets) {
  const ThrowawayCgroup cgroup;
  const ElsewhereProcess process(cgroup);
  const pid_t daemon = fork();
  if (daemon == 0) {
    auto helper = PrivilegedHelper::start();
    if (!helper || !agent::drop_privileges(kUid, kUid, agent::daemon_capabilities())) _exit(1);
    if (getuid() != kUid || geteuid() != kUid || getgid() != kUid || getgroups(0, nullptr) != 0) _exit(2);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    if (syscall(SYS_capget, &header, data) != 0) _exit(3);
    const std::uint64_t effective = data[0].effective | std::uint64_t{data[1].effective} << 32;
    std::uint64_t expected = 0;
    for (const int kept : agent::daemon_capabilities()) expected |= std::uint64_t{1} << kept;
    if (effective != expected) _exit(4);
    if (setresuid(0, 0, 0) == 0) _exit(5);
    const auto sockets = open_sockets(*helper, process.pid(), process.cookie());
    _exit(sockets ? 0 : 6);
  }
  int status = 0;
  ASSERT_EQ(waitpid(daemon, &status, 0), daemon);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace namewall::kernel_tests
