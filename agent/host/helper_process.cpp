#include "agent/host/helper_process.h"

#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <utility>
#include <vector>

#include "agent/host/cgroup_members.h"
#include "agent/host/drop_privileges.h"
#include "agent/host/helper_channel.h"
#include "agent/host/process_facts.h"
#include "agent/host/proof_probe.h"
#include "nft/host_enforcer.h"

namespace namewall::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxServants = 8;
// Longer than anything a task does by itself (kInspectionBudget, twice kProofDeadline).
constexpr std::chrono::milliseconds kServantDeadline{2500};
// A file system of the workload's own (FUSE) can keep whoever looks at a path of it from dying: beyond so many, paths
// are not looked at.
constexpr std::size_t kMaxGivenUp = 4;
constexpr std::chrono::seconds kUntilKilledAgain{60};

const std::vector<int>& helper_capabilities() {
  static const std::vector<int> capabilities = {
      CAP_SYS_ADMIN,                          // setns
      CAP_SYS_PTRACE,                         // other users' /proc/PID/{fd,ns,root}
      CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,  // cgroups in trees that belong to other users
      CAP_NET_RAW,      CAP_NET_ADMIN,        // what the passed sockets can do is what their opener may
      CAP_SETUID,       CAP_SETGID,
      CAP_SETPCAP,      CAP_KILL,  // the probe drops everything, and may have to be ended
  };
  return capabilities;
}

struct Servant {
  pid_t pid = 0;
  FileDescriptor pidfd;
  Clock::time_point deadline;
  HelperRequest request{};
  bool is_given_up = false;  // it was killed and its request answered, but it has not ended
};

template <typename T>
HelperAnswer answer_with(const HelperRequest& request, const Result<T>& result) {
  if (!result) return make_answer(request, result.error());
  HelperAnswer answer = make_answer(request);
  put(answer, *result);
  return answer;
}

Result<void> answer_with_sockets(int channel, const HelperRequest& request) {
  auto entered = enter_netns_of(request.pid, request.netns_cookie);
  auto sockets = entered ? open_netns_sockets() : Result<NetnsSockets>(tl::unexpected(entered.error()));
  if (!sockets) return send_answer(channel, make_answer(request, sockets.error()), {});
  std::vector<int> descriptors = {sockets->answers.v4.raw.get(), sockets->answers.v4.nonlocal_bind.get()};
  if (sockets->answers.v6.raw) {
    descriptors.push_back(sockets->answers.v6.raw.get());
    descriptors.push_back(sockets->answers.v6.nonlocal_bind.get());
  }
  descriptors.push_back(sockets->diagnosis.get());
  for (const int descriptor : descriptors) {
    if (descriptor >= 0) continue;
    const Error error{ErrorKind::kUnsupported, 0, "ip_nonlocal_bind cannot be read in that network namespace"};
    return send_answer(channel, make_answer(request, error), {});
  }
  return send_answer(channel, make_answer(request), descriptors);
}

Result<void> answer_with_proxy(int channel, const HelperRequest& request) {
  const auto proxy = open_netns_proxy(request.pid, request.netns_cookie, read_resolvers(request));
  if (!proxy) return send_answer(channel, make_answer(request, proxy.error()), {});
  std::vector<int> descriptors = {proxy->netns.get(), proxy->diagnosis.get()};
  for (const auto& place : proxy->places) {
    if (place) descriptors.insert(descriptors.end(), {place->udp.get(), place->tcp.get()});
  }
  HelperAnswer answer = make_answer(request);
  put(answer, proxy->places);
  return send_answer(channel, answer, descriptors);
}

Result<void> answer_with_upstream_sockets(int channel, const HelperRequest& request, int netns) {
  const auto sockets = make_netns_sockets(netns, request.netns_cookie, read_counts(request));
  if (!sockets) return send_answer(channel, make_answer(request, sockets.error()), {});
  std::vector<int> descriptors;
  for (const FileDescriptor& socket : *sockets) descriptors.push_back(socket.get());
  return send_answer(channel, make_answer(request), descriptors);
}

Result<void> answer_with_tables(int channel, const HelperRequest& request) {
  const auto entered = enter_netns_of(request.pid, request.netns_cookie);
  auto sockets =
      entered ? nft::open_netns_sockets(nft::kLogGroup) : Result<nft::NetnsSockets>(tl::unexpected(entered.error()));
  if (!sockets) return send_answer(channel, make_answer(request, sockets.error()), {});
  const std::vector<int> descriptors = {sockets->nft.get(), sockets->log.get(), sockets->conntrack.get()};
  return send_answer(channel, make_answer(request), descriptors);
}

Result<void> answer_with_restricted(int channel, const HelperRequest& request, int caller) {
  const RestrictedCgroupOutcome outcome = make_restricted_cgroup(caller, read_order(request));
  if (!outcome.made) {
    HelperAnswer answer = make_answer(request, outcome.made.error());
    answer.obstacle = static_cast<std::uint32_t>(outcome.obstacle);
    return send_answer(channel, answer, {});
  }
  const int descriptors[] = {outcome.made->directory.get(), outcome.made->process.get()};
  const auto sent = send_answer(channel, make_answer(request), descriptors);
  if (!sent) (void)remove_restricted_cgroup(outcome.made->directory.get());
  return sent;
}

HelperAnswer answer_of(const HelperRequest& request, const Result<void>& done) {
  return done ? make_answer(request) : make_answer(request, done.error());
}

HelperAnswer check_processes(const HelperRequest& request) {
  HelperAnswer answer = make_answer(request);
  answer.still_there = check_netns_processes(read_processes(request));
  return answer;
}

Result<std::vector<ForeignUser>> inspect(int cgroup_fd, std::uint32_t left_out) {
  const auto facts = read_workload_facts(cgroup_fd, left_out, static_cast<std::uint32_t>(getppid()));
  if (!facts) return tl::unexpected(facts.error());
  return find_foreign_users(*facts);
}

Result<ProofOutcome> prove(int cgroup_fd, const HelperRequest& request) {
  if (const auto id = check_cgroup_directory(cgroup_fd); !id) return tl::unexpected(id.error());
  return run_proof(cgroup_fd, read_plan(request.proof));
}

// In a process of its own.
Result<void> serve(int channel, HelperTask task, const Received<HelperRequest>& received) {
  const HelperRequest& request = received.message;
  switch (task) {
    case HelperTask::kOpenSockets:
      return answer_with_sockets(channel, request);
    case HelperTask::kProve:
      return send_answer(channel, answer_with(request, prove(received.descriptors[0].get(), request)), {});
    case HelperTask::kInspect:
      return send_answer(channel, answer_with(request, inspect(received.descriptors[0].get(), request.pid)), {});
    case HelperTask::kListNamespaces:
      return send_answer(channel, answer_with(request, list_network_namespaces(received.descriptors[0].get())), {});
    case HelperTask::kOpenProxy:
      return answer_with_proxy(channel, request);
    case HelperTask::kMakeSockets:
      return answer_with_upstream_sockets(channel, request, received.descriptors[0].get());
    case HelperTask::kCheckProcesses:
      return send_answer(channel, check_processes(request), {});
    case HelperTask::kScanNamespaces:
      return send_answer(channel, answer_with(request, scan_netns_processes()), {});
    case HelperTask::kOpenTables:
      return answer_with_tables(channel, request);
    case HelperTask::kMakeRestricted:
      return answer_with_restricted(channel, request, received.descriptors[0].get());
    case HelperTask::kEnterRestricted:
      return send_answer(
          channel,
          answer_of(request, enter_restricted_cgroup(received.descriptors[0].get(), received.descriptors[1].get(),
                                                     request.restriction.cgroup_id)),
          {});
    case HelperTask::kRemoveRestricted:
      return send_answer(channel, answer_of(request, remove_restricted_cgroup(received.descriptors[0].get())), {});
  }
  return {};
}

class Server {
 public:
  explicit Server(int channel) : channel_(channel) {}

  [[noreturn]] void run() {
    while (true) {
      std::vector<pollfd> waited;
      for (const Servant& servant : servants_) waited.push_back({servant.pidfd.get(), POLLIN, 0});
      // A busy helper reads no more; that the daemon is gone (POLLHUP) is told all the same.
      const bool is_busy = servants_.size() - count_given_up() >= kMaxServants;
      waited.push_back({channel_, static_cast<short>(is_busy ? 0 : POLLIN), 0});
      if (poll(waited.data(), waited.size(), milliseconds_to_deadline()) < 0 && errno != EINTR) _exit(EXIT_FAILURE);
      end_servants();
      if ((waited.back().revents & POLLIN) != 0) {
        take_request();
      } else if ((waited.back().revents & (POLLHUP | POLLERR)) != 0) {
        _exit(EXIT_SUCCESS);
      }
    }
  }

 private:
  int milliseconds_to_deadline() const {
    if (servants_.empty()) return -1;
    auto first = servants_.front().deadline;
    for (const Servant& servant : servants_) first = std::min(first, servant.deadline);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }

  std::size_t count_given_up() const {
    return static_cast<std::size_t>(std::ranges::count_if(servants_, &Servant::is_given_up));
  }

  // Those that have ended, and those that must. Waits for none: one that cannot die would stop the helper.
  void end_servants() {
    std::erase_if(servants_, [this](Servant& servant) {
      siginfo_t end{};
      const int waited = waitid(P_PIDFD, static_cast<id_t>(servant.pidfd.get()), &end, WEXITED | WNOHANG);
      if (waited == 0 && end.si_pid != 0) {
        const bool has_answered = end.si_code == CLD_EXITED && end.si_status == EXIT_SUCCESS;
        if (!has_answered && !servant.is_given_up) {
          tell(make_answer(servant.request, Error{ErrorKind::kSystem, 0, "the process of the task has died"}));
        }
        return true;
      }
      if (Clock::now() < servant.deadline) return false;
      kill(servant.pid, SIGKILL);
      if (!std::exchange(servant.is_given_up, true)) {
        tell(make_answer(servant.request, Error{ErrorKind::kLimit, 0, "the task took too long"}));
      }
      servant.deadline = Clock::now() + kUntilKilledAgain;
      return false;
    });
  }

  // The daemon has a deadline of its own for an answer that is lost here.
  void tell(const HelperAnswer& answer) {
    pollfd writable{channel_, POLLOUT, 0};
    if (poll(&writable, 1, 0) == 1 && (writable.revents & POLLOUT) != 0) (void)send_answer(channel_, answer, {});
  }

  void take_request() {
    Received<HelperRequest> received;
    switch (receive_request(channel_, received)) {
      case ReceiveOutcome::kClosed:
        _exit(EXIT_SUCCESS);
      case ReceiveOutcome::kNothingWaits:
      case ReceiveOutcome::kMalformed:
        return;
      case ReceiveOutcome::kMessage:
        break;
    }
    const auto task = check_request(received.message, received.descriptors.size());
    if (!task) return tell(make_answer(received.message, task.error()));
    if (*task == HelperTask::kInspect && count_given_up() >= kMaxGivenUp) {
      return tell(
          make_answer(received.message, Error{ErrorKind::kLimit, 0, "earlier inspections hang and cannot end"}));
    }
    const pid_t own = getpid();
    const pid_t child = fork();
    if (child < 0) return tell(make_answer(received.message, Error{ErrorKind::kSystem, errno, "cannot fork"}));
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != own) _exit(EXIT_FAILURE);
      _exit(serve(channel_, *task, received) ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    FileDescriptor pidfd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
    servants_.push_back({child, std::move(pidfd), Clock::now() + kServantDeadline, received.message, false});
  }

  int channel_;
  std::vector<Servant> servants_;
};

}  // namespace

void run_privileged_helper(int channel) {
  prctl(PR_SET_NAME, "namewall-helper");
  if (!keep_only_capabilities(helper_capabilities())) _exit(EXIT_FAILURE);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // cleared by a change of credentials: set behind it
  Server(channel).run();
}

}  // namespace namewall::agent
