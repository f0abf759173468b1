#include "agent/host/proof_probe.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "agent/cgroup_child.h"
#include "agent/host/cgroup_members.h"
#include "agent/host/drop_privileges.h"
#include "agent/host/proof_answer.h"
#include "policy/dns_message.h"

namespace namewall::agent {
namespace {

using Clock = std::chrono::steady_clock;
using Obstacle = ProofOutcome::Obstacle;
using Outcome = ProofStep::Outcome;

constexpr uid_t kNobody = 65534;
constexpr std::size_t kMaxSwept = 64;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

SocketAddress socket_address(const Address& address, Port port) {
  SocketAddress out;
  if (address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port.number);
    const auto bytes = address.v4_bytes();
    std::memcpy(&v4.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&out.storage, &v4, out.length = sizeof v4);
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port.number);
    std::memcpy(&v6.sin6_addr, address.bytes().data(), address.bytes().size());
    std::memcpy(&out.storage, &v6, out.length = sizeof v6);
  }
  return out;
}

// ---- in the probe ----

constexpr int kAnswerPatienceMs = 250;  // of kProofDeadline
constexpr int kResetPatienceMs = 100;

ProofStep not_tried(int error_number) { return {Outcome::kNotTried, error_number, {}}; }

ProofStep done(bool as_expected, int error_number, Clock::time_point since) {
  return {as_expected ? Outcome::kAsExpected : Outcome::kOtherwise, error_number, Clock::now() - since};
}

// Of a connect that has begun: an errno, ETIMEDOUT where nothing comes of it in time.
int outcome_of(int connecting) {
  pollfd ready{connecting, POLLOUT, 0};
  if (poll(&ready, 1, kResetPatienceMs) != 1) return ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(connecting, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

ProofStep try_address(const ProofPlan& plan) {
  if (!plan.refused_address) return {};
  const SocketAddress to = socket_address(*plan.refused_address, plan.refused_port);
  const FileDescriptor fd(socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return not_tried(errno);
  const auto since = Clock::now();
  int error = connect(fd.get(), to.get(), to.length) == 0 ? 0 : errno;
  if (error == EINPROGRESS && plan.refuses_packets) error = outcome_of(fd.get());
  return done(error == ECONNREFUSED, error, since);
}

ProofStep try_name(const ProofPlan& plan) {
  if (!plan.resolver) return {};
  const SocketAddress to = socket_address(plan.resolver->address, plan.resolver->port);
  const FileDescriptor fd(socket(to.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd || connect(fd.get(), to.get(), to.length) != 0) return not_tried(errno);  // no route, say
  const auto question = build_proof_question(plan.refused_name);
  const auto since = Clock::now();
  const int error = send(fd.get(), question.data(), question.size(), MSG_NOSIGNAL) >= 0 ? 0 : errno;
  if (error != 0) return done(true, error, since);
  // It went to the DNS proxy, or out of the host.
  pollfd answered{fd.get(), POLLIN, 0};
  std::array<std::uint8_t, 1232> answer{};
  ssize_t length = 0;
  if (poll(&answered, 1, kAnswerPatienceMs) == 1) length = recv(fd.get(), answer.data(), answer.size(), 0);
  const bool is_refused =
      length > 0 && is_own_refusal(question, std::span(answer).first(static_cast<std::size_t>(length)));
  return done(is_refused, 0, since);
}

ProofStep try_loopback(const ProofPlan& plan) {
  if (!plan.loopback) return {};
  const FileDescriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const FileDescriptor client(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  SocketAddress at = socket_address(Address::v4({127, 0, 0, 1}), Port{0});
  if (!listener || !client) return not_tried(errno);
  const auto since = Clock::now();
  if (bind(listener.get(), at.get(), at.length) != 0) {
    return errno == EADDRNOTAVAIL ? not_tried(errno) : done(false, errno, since);
  }
  if (listen(listener.get(), 1) != 0 ||
      getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at.storage), &at.length) != 0) {
    return done(false, errno, since);
  }
  const linger reset{1, 0};
  (void)setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);  // no TIME_WAIT left behind
  if (connect(client.get(), at.get(), at.length) != 0 && errno != EINPROGRESS) return done(false, errno, since);
  pollfd ready{client.get(), POLLOUT, 0};
  if (poll(&ready, 1, 100) != 1) return done(false, ETIMEDOUT, since);
  int error = 0;
  socklen_t length = sizeof error;
  (void)getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  return done(error == 0, error, since);
}

struct Steps {
  ProofStep address, name, loopback;
};
static_assert(std::is_trivially_copyable_v<Steps>);

// Runs in the workload's cgroup. What it inherits would be a present to a workload that takes it over.
[[noreturn]] void probe(const ProofPlan& plan, int told) {
  if (dup2(told, 3) != 3 || close_range(4, ~0u, 0) != 0) _exit(EXIT_FAILURE);
  prctl(PR_SET_NAME, "namewall-probe");
  if (!drop_privileges(kNobody, kNobody, {})) _exit(EXIT_FAILURE);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // cleared by the change of the uid: set behind it
  const Steps steps{try_address(plan), try_name(plan), try_loopback(plan)};
  _exit(write(3, &steps, sizeof steps) == sizeof steps ? EXIT_SUCCESS : EXIT_FAILURE);
}

// ---- outside ----

void wait_for(const CgroupChild& child, std::chrono::milliseconds patience, bool& in_time, bool& killed) {
  pollfd ended{child.pidfd.get(), POLLIN, 0};
  in_time = poll(&ended, 1, static_cast<int>(patience.count())) == 1;
  if (!in_time) kill(child.pid, SIGKILL);  // ends a frozen process, too
  siginfo_t end{};
  while (waitid(P_PIDFD, static_cast<id_t>(child.pidfd.get()), &end, WEXITED) != 0 && errno == EINTR) {
  }
  killed = in_time && end.si_code != CLD_EXITED;
}

Obstacle obstacle_of_start(const Error& error) {
  switch (error.error_number) {
    case EAGAIN:
      return Obstacle::kNoRoomForProcess;
    case EBUSY:       // the cgroup has children with controllers
    case EOPNOTSUPP:  // below a threaded cgroup
      return Obstacle::kNoPlace;
    case ENODEV:
    case ENOENT:
      return Obstacle::kGone;
    case ETIMEDOUT:
      return Obstacle::kTimeout;
    default:
      return Obstacle::kOther;
  }
}

ProofOutcome try_in(int cgroup_fd, const ProofPlan& plan) {
  ProofOutcome outcome;
  const Result<std::string> events = read_cgroup_file(cgroup_fd, "cgroup.events");
  if (events && events->find("frozen 1") != std::string::npos) {
    outcome.obstacle = Obstacle::kFrozen;
    return outcome;
  }
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    outcome.obstacle = Obstacle::kOther;
    outcome.error_number = errno;
    return outcome;
  }
  const FileDescriptor answer(ends[0]);
  FileDescriptor told(ends[1]);
  const Result<CgroupChild> child = start_in_cgroup(
      cgroup_fd, [&] { probe(plan, told.get()); }, kProofDeadline);
  if (!child) {
    outcome.obstacle = obstacle_of_start(child.error());
    outcome.error_number = child.error().error_number;
    return outcome;
  }
  told.reset();
  outcome.pid = static_cast<std::uint32_t>(child->pid);
  bool in_time = false, killed = false;
  wait_for(*child, kProofDeadline, in_time, killed);
  Steps steps;
  if (in_time && !killed && read(answer.get(), &steps, sizeof steps) == sizeof steps) {
    outcome.address = steps.address;
    outcome.name = steps.name;
    outcome.loopback = steps.loopback;
  } else {
    outcome.obstacle = !in_time ? Obstacle::kTimeout : killed ? Obstacle::kKilled : Obstacle::kOther;
  }
  return outcome;
}

void remove_cgroup(int parent_fd, const std::string& name) {
  // A process that has just been reaped may keep its cgroup busy for a moment.
  for (int attempt = 0; attempt < 50 && unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR) != 0 && errno == EBUSY;
       ++attempt) {
    usleep(1000);
  }
}

// namewall-probe-PID of a prover that has ended.
bool is_leftover(std::string_view name) {
  if (!name.starts_with(kProbePrefix)) return false;
  name.remove_prefix(std::strlen(kProbePrefix));
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  return error == std::errc() && end == name.data() + name.size() && pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

void sweep(int cgroup_fd) {
  std::vector<std::string> children;
  (void)list_child_cgroups(cgroup_fd, kMaxListedCgroups, children);
  std::size_t swept = 0;
  for (const std::string& name : children) {
    if (swept == kMaxSwept || !is_leftover(name)) continue;
    (void)unlinkat(cgroup_fd, name.c_str(), AT_REMOVEDIR);
    ++swept;
  }
}

ProofOutcome run(int cgroup_fd, const ProofPlan& plan) {
  sweep(cgroup_fd);
  const std::string name = std::string(kProbePrefix) + std::to_string(getpid());
  if (mkdirat(cgroup_fd, name.c_str(), 0755) != 0) {
    const int why = errno;
    if (why == ENOENT || why == ENODEV) return {Obstacle::kGone, why, 0, false, {}, {}, {}, {}};
    ProofOutcome outcome = try_in(cgroup_fd, plan);
    if (outcome.obstacle == Obstacle::kNoPlace && why == EAGAIN) outcome.obstacle = Obstacle::kNoRoomForCgroup;
    return outcome;
  }
  const FileDescriptor own(openat(cgroup_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  ProofOutcome outcome;
  outcome.obstacle = Obstacle::kNoPlace;
  if (own) {
    outcome = try_in(own.get(), plan);
    outcome.in_own_cgroup = true;
  }
  remove_cgroup(cgroup_fd, name);
  return outcome.obstacle == Obstacle::kNoPlace ? try_in(cgroup_fd, plan) : outcome;
}

}  // namespace

ProofOutcome run_proof(int cgroup_fd, const ProofPlan& plan) {
  const auto since = Clock::now();
  ProofOutcome outcome = run(cgroup_fd, plan);
  outcome.took = Clock::now() - since;
  return outcome;
}

}  // namespace namewall::agent
