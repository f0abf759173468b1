#include "agent/host/privileged_helper.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <utility>

#include "agent/host/helper_channel.h"
#include "agent/host/helper_process.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace namewall::agent {
namespace {

// Longer than the helper gives a task.
constexpr Nanoseconds kAnswerDeadline = std::chrono::seconds(4);

using Answer = Received<HelperAnswer>;
using Handler = std::function<void(Result<Answer>)>;

struct Waiting {
  HelperTask task = HelperTask::kOpenSockets;
  BootTime deadline;
  Handler handle;
  std::optional<Error> failed;  // could not be sent
};

bool is_of_netns(const FileDescriptor& socket_fd, std::uint64_t cookie) {
  std::uint64_t own = 0;
  socklen_t length = sizeof own;
  return getsockopt(socket_fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &own, &length) == 0 && own == cookie;
}

Result<NetnsSockets> read_sockets(std::vector<FileDescriptor> descriptors, std::uint64_t cookie) {
  NetnsSockets sockets;
  sockets.diagnosis = std::move(descriptors.back());
  sockets.answers.v4 = {std::move(descriptors[0]), std::move(descriptors[1])};
  bool right = is_of_netns(sockets.diagnosis, cookie) && is_of_netns(sockets.answers.v4.raw, cookie);
  if (descriptors.size() == kMaxRefusalDescriptors) {
    sockets.answers.v6 = {std::move(descriptors[2]), std::move(descriptors[3])};
    right = right && is_of_netns(sockets.answers.v6.raw, cookie);
  }
  if (!right) return fail(ErrorKind::kConflict, "the helper's sockets are of another network namespace");
  return sockets;
}

bool is_socket(const FileDescriptor& socket_fd, int family, int type, std::uint64_t cookie) {
  const auto is_so = [&](int option, int expected) {
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(socket_fd.get(), SOL_SOCKET, option, &value, &length) == 0 && value == expected;
  };
  return is_so(SO_DOMAIN, family) && is_so(SO_TYPE, type) && is_of_netns(socket_fd, cookie);
}

tl::unexpected<Error> wrong_sockets() {
  return fail(ErrorKind::kConflict, "the helper's sockets are not those that were asked for");
}

Result<NetnsProxy> read_proxy(Answer answer, const std::vector<ResolverAddress>& resolvers, std::uint64_t cookie) {
  const auto places = read_places(answer.message, resolvers.size(), answer.descriptors.size());
  if (!places) return tl::unexpected(places.error());
  NetnsProxy proxy;
  auto next = answer.descriptors.begin();
  proxy.netns = std::move(*next++);
  proxy.diagnosis = std::move(*next++);
  if (!is_socket(proxy.diagnosis, AF_NETLINK, SOCK_RAW, cookie)) return wrong_sockets();
  for (std::size_t i = 0; i < resolvers.size(); ++i) {
    if (!(*places)[i]) {
      proxy.places.push_back(tl::unexpected((*places)[i].error()));
      continue;
    }
    ProxySockets sockets{std::move(next[0]), std::move(next[1])};
    next += 2;
    const auto place = locate(sockets);
    if (!place || place->netns_cookie != cookie || place->is_ipv6 == resolvers[i].address.is_v4()) {
      return wrong_sockets();
    }
    proxy.places.push_back(std::move(sockets));
  }
  return proxy;
}

Result<std::vector<FileDescriptor>> read_upstream_sockets(std::vector<FileDescriptor> sockets,
                                                          const SocketCounts& counts, std::uint64_t cookie) {
  if (sockets.size() != counts.sum()) return wrong_sockets();
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    const bool is_v4 = i < counts.udp4 + counts.tcp4;
    const bool is_udp = is_v4 ? i < counts.udp4 : i < counts.udp4 + counts.tcp4 + counts.udp6;
    if (!is_socket(sockets[i], is_v4 ? AF_INET : AF_INET6, is_udp ? SOCK_DGRAM : SOCK_STREAM, cookie)) {
      return wrong_sockets();
    }
  }
  return sockets;
}

Result<nft::NetnsSockets> read_tables(std::vector<FileDescriptor> sockets, std::uint64_t cookie) {
  for (const FileDescriptor& one : sockets) {
    if (!is_socket(one, AF_NETLINK, SOCK_RAW, cookie)) return wrong_sockets();
  }
  return nft::NetnsSockets{std::move(sockets[0]), std::move(sockets[1]), std::move(sockets[2])};
}

// Adapts a callback for a value to one for the raw answer.
template <typename T>
Handler read_with(Result<T> (*read)(const HelperAnswer&), PrivilegedHelper::Done<T> done) {
  return [read, done = std::move(done)](Result<Answer> answer) {
    done(answer ? read(answer->message) : Result<T>(tl::unexpected(answer.error())));
  };
}

Handler read_done(PrivilegedHelper::Done<void> done) {
  return [done = std::move(done)](const Result<Answer>& answer) {
    done(answer ? Result<void>() : Result<void>(tl::unexpected(answer.error())));
  };
}

}  // namespace

struct PrivilegedHelper::State {
  FileDescriptor channel;
  pid_t pid = 0;
  bool alive = true;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, Waiting> waiting;

  void request(HelperRequest message, std::span<const int> descriptors, BootTime now, Handler handle) {
    Waiting entry{static_cast<HelperTask>(message.task), now + kAnswerDeadline, std::move(handle), std::nullopt};
    message.id = ++last_id;
    if (!alive) {
      entry.failed = Error{ErrorKind::kSystem, 0, "the privileged helper has ended"};
    } else if (waiting.size() >= kMaxWaiting) {
      entry.failed = Error{ErrorKind::kLimit, 0, "too many requests wait for the privileged helper"};
    } else if (const auto sent = send_request(channel.get(), message, descriptors); !sent) {
      entry.failed = sent.error();
    }
    if (entry.failed) entry.deadline = now;
    waiting.emplace(message.id, std::move(entry));
  }

  void answer(Answer answer) {
    const auto found = waiting.find(answer.message.id);
    if (found == waiting.end()) return;  // its deadline is over
    const Waiting entry = std::move(found->second);
    waiting.erase(found);
    const auto checked = check_answer(answer.message, entry.task, answer.descriptors.size());
    // An error may say what stands against it.
    const bool has_obstacle = entry.task == HelperTask::kMakeRestricted && answer.message.obstacle != 0;
    if (!checked && !has_obstacle) {
      entry.handle(tl::unexpected(checked.error()));
    } else {
      entry.handle(std::move(answer));
    }
  }

  void end() {
    alive = false;
    (void)waitpid(pid, nullptr, WNOHANG);
    auto lost = std::exchange(waiting, {});
    for (auto& [id, entry] : lost) {
      entry.handle(tl::unexpected(Error{ErrorKind::kSystem, 0, "the privileged helper has ended"}));
    }
  }
};

PrivilegedHelper::PrivilegedHelper(std::unique_ptr<State> state) : state_(std::move(state)) {}
PrivilegedHelper::PrivilegedHelper(PrivilegedHelper&&) noexcept = default;
PrivilegedHelper& PrivilegedHelper::operator=(PrivilegedHelper&&) noexcept = default;

PrivilegedHelper::~PrivilegedHelper() {
  if (!state_) return;
  state_->channel.reset();  // the helper ends by this
  while (state_->pid > 0 && waitpid(state_->pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<PrivilegedHelper> PrivilegedHelper::start() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(errno, "cannot make the privileged helper's channel");
  }
  auto state = std::make_unique<State>();
  state->channel.reset(ends[0]);
  FileDescriptor other(ends[1]);
  const pid_t parent = getpid();
  state->pid = fork();
  if (state->pid < 0) return fail_errno(errno, "cannot start the privileged helper");
  if (state->pid == 0) {
    if (dup2(other.get(), 3) != 3 || close_range(4, ~0u, 0) != 0) _exit(EXIT_FAILURE);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int signal_number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) signal(signal_number, SIG_DFL);
    if (getppid() != parent) _exit(EXIT_FAILURE);
    run_privileged_helper(3);
  }
  return PrivilegedHelper(std::move(state));
}

void PrivilegedHelper::open_sockets(std::uint32_t pid, std::uint64_t netns_cookie, BootTime now,
                                    Done<NetnsSockets> done) {
  HelperRequest request = make_request(HelperTask::kOpenSockets, 0);
  request.pid = pid;
  request.netns_cookie = netns_cookie;
  state_->request(request, {}, now, [netns_cookie, done = std::move(done)](Result<Answer> answer) {
    done(answer ? read_sockets(std::move(answer->descriptors), netns_cookie)
                : Result<NetnsSockets>(tl::unexpected(answer.error())));
  });
}

void PrivilegedHelper::prove(int cgroup_fd, const ProofPlan& plan, BootTime now, Done<ProofOutcome> done) {
  HelperRequest request = make_request(HelperTask::kProve, 0);
  request.proof = to_wire(plan);
  state_->request(request, std::span(&cgroup_fd, 1), now, read_with<ProofOutcome>(&read_outcome, std::move(done)));
}

void PrivilegedHelper::inspect(int cgroup_fd, std::uint32_t left_out, BootTime now,
                               Done<std::vector<ForeignUser>> done) {
  HelperRequest request = make_request(HelperTask::kInspect, 0);
  request.pid = left_out;
  state_->request(request, std::span(&cgroup_fd, 1), now,
                  read_with<std::vector<ForeignUser>>(&read_users, std::move(done)));
}

void PrivilegedHelper::list_namespaces(int cgroup_fd, BootTime now, Done<NetnsList> done) {
  state_->request(make_request(HelperTask::kListNamespaces, 0), std::span(&cgroup_fd, 1), now,
                  read_with<NetnsList>(&read_namespaces, std::move(done)));
}

void PrivilegedHelper::open_proxy(std::uint32_t pid, std::uint64_t netns_cookie,
                                  const std::vector<ResolverAddress>& resolvers, BootTime now, Done<NetnsProxy> done) {
  HelperRequest request = make_request(HelperTask::kOpenProxy, 0);
  request.pid = pid;
  request.netns_cookie = netns_cookie;
  put(request, resolvers);
  state_->request(request, {}, now, [netns_cookie, resolvers, done = std::move(done)](Result<Answer> answer) {
    done(answer ? read_proxy(std::move(*answer), resolvers, netns_cookie)
                : Result<NetnsProxy>(tl::unexpected(answer.error())));
  });
}

void PrivilegedHelper::make_sockets(int netns, std::uint64_t netns_cookie, const SocketCounts& counts, BootTime now,
                                    Done<std::vector<FileDescriptor>> done) {
  HelperRequest request = make_request(HelperTask::kMakeSockets, 0);
  request.netns_cookie = netns_cookie;
  put(request, counts);
  state_->request(request, std::span(&netns, 1), now,
                  [netns_cookie, counts, done = std::move(done)](Result<Answer> answer) {
                    done(answer ? read_upstream_sockets(std::move(answer->descriptors), counts, netns_cookie)
                                : Result<std::vector<FileDescriptor>>(tl::unexpected(answer.error())));
                  });
}

void PrivilegedHelper::check_processes(const std::vector<ProcessInNetns>& processes, BootTime now,
                                       Done<std::uint64_t> done) {
  HelperRequest request = make_request(HelperTask::kCheckProcesses, 0);
  put(request, processes);
  state_->request(request, {}, now, [done = std::move(done)](Result<Answer> answer) {
    done(answer ? Result<std::uint64_t>(answer->message.still_there)
                : Result<std::uint64_t>(tl::unexpected(answer.error())));
  });
}

void PrivilegedHelper::open_tables(std::uint32_t pid, std::uint64_t netns_cookie, BootTime now,
                                   Done<nft::NetnsSockets> done) {
  HelperRequest request = make_request(HelperTask::kOpenTables, 0);
  request.pid = pid;
  request.netns_cookie = netns_cookie;
  state_->request(request, {}, now, [netns_cookie, done = std::move(done)](Result<Answer> answer) {
    done(answer ? read_tables(std::move(answer->descriptors), netns_cookie)
                : Result<nft::NetnsSockets>(tl::unexpected(answer.error())));
  });
}

void PrivilegedHelper::scan_namespaces(BootTime now, Done<NetnsScan> done) {
  state_->request(make_request(HelperTask::kScanNamespaces, 0), {}, now,
                  read_with<NetnsScan>(&read_scan, std::move(done)));
}

void PrivilegedHelper::make_restricted(int caller, const RestrictOrder& order, BootTime now,
                                       std::function<void(RestrictedCgroupOutcome)> done) {
  HelperRequest request = make_request(HelperTask::kMakeRestricted, 0);
  put(request, order);
  state_->request(request, std::span(&caller, 1), now, [done = std::move(done)](Result<Answer> answer) {
    if (!answer) return done({tl::unexpected(answer.error()), RestrictObstacle::kNone});
    const auto checked = check_answer(answer->message, HelperTask::kMakeRestricted, answer->descriptors.size());
    if (!checked) return done({tl::unexpected(checked.error()), read_obstacle(answer->message)});
    done({RestrictedCgroup{std::move(answer->descriptors[0]), std::move(answer->descriptors[1])},
          RestrictObstacle::kNone});
  });
}

void PrivilegedHelper::enter_restricted(int directory, int process, std::uint64_t from_id, BootTime now,
                                        Done<void> done) {
  HelperRequest request = make_request(HelperTask::kEnterRestricted, 0);
  request.restriction.cgroup_id = from_id;
  const int descriptors[] = {directory, process};
  state_->request(request, descriptors, now, read_done(std::move(done)));
}

void PrivilegedHelper::remove_restricted(int directory, BootTime now, Done<void> done) {
  state_->request(make_request(HelperTask::kRemoveRestricted, 0), std::span(&directory, 1), now,
                  read_done(std::move(done)));
}

int PrivilegedHelper::fd() const { return state_->channel.get(); }

void PrivilegedHelper::read_answers() {
  while (state_->alive) {
    Answer answer;
    switch (receive_answer(state_->channel.get(), answer)) {
      case ReceiveOutcome::kNothingWaits:
        return;
      case ReceiveOutcome::kClosed:
        return state_->end();
      case ReceiveOutcome::kMalformed:
        continue;
      case ReceiveOutcome::kMessage:
        state_->answer(std::move(answer));
    }
  }
}

std::optional<BootTime> PrivilegedHelper::next_deadline() const {
  std::optional<BootTime> first;
  for (const auto& [id, entry] : state_->waiting) first = std::min(first.value_or(entry.deadline), entry.deadline);
  return first;
}

void PrivilegedHelper::expire(BootTime now) {
  std::vector<Waiting> over;
  for (auto it = state_->waiting.begin(); it != state_->waiting.end();) {
    if (it->second.deadline > now) {
      ++it;
      continue;
    }
    over.push_back(std::move(it->second));
    it = state_->waiting.erase(it);
  }
  for (Waiting& entry : over) {
    entry.handle(tl::unexpected(
        entry.failed.value_or(Error{ErrorKind::kLimit, 0, "the privileged helper has not answered in time"})));
  }
}

bool PrivilegedHelper::is_alive() const { return state_->alive; }
pid_t PrivilegedHelper::pid() const { return state_->pid; }
std::size_t PrivilegedHelper::waiting() const { return state_->waiting.size(); }

}  // namespace namewall::agent
