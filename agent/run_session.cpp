#include "agent/run_session.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

#include "agent/cgroup_tree.h"
#include "agent/command.h"
#include "agent/launch.h"
#include "agent/own_addresses.h"
#include "agent/refusal_answer.h"
#include "agent/run_backend.h"
#include "agent/run_proxy.h"
#include "agent/signal_relay.h"
#include "agent/start_notes.h"
#include "bpf/enforcer.h"

namespace namewall::agent {
namespace {

constexpr std::string_view kCgroupOwnerPrefix = "namewall-";  // a run is told of as "run-4121"
constexpr std::size_t kEventsPerTurn = 512;                   // a flood of events does not keep signals waiting

int own_failure(const std::string& sentence) {
  std::fprintf(stderr, "namewall: %s\n", sentence.c_str());
  return kExitOwnFailure;
}

BootTime now() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return BootTime{std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec)};
}

std::vector<std::string> own_environment() {
  std::vector<std::string> environment;
  for (char** variable = ::environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
  return environment;
}

// The variable that sends the command's traffic through a proxy; "" without one.
std::string find_proxy_variable() {
  for (const char* name : {"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"}) {
    const char* value = ::getenv(name);
    if (value != nullptr && *value != '\0') return name;
  }
  return {};
}

// The run's cgroup, removed with this object if it is empty. What has processes stays: they are confined as before.
class CgroupOwner {
 public:
  explicit CgroupOwner(RunCgroup cgroup) : cgroup_(std::move(cgroup)) {}
  CgroupOwner& operator=(const CgroupOwner&) = delete;
  ~CgroupOwner() { (void)remove(); }

  const RunCgroup& get() const { return cgroup_; }
  // Processes that just ended may count as members for another moment.
  bool remove() {
    constexpr int kTries = 20;
    for (int attempt = 0; attempt < kTries && !removed_; ++attempt) {
      if (attempt > 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      removed_ = cgroup_.remove().has_value();
    }
    return removed_;
  }

 private:
  RunCgroup cgroup_;
  bool removed_ = false;
};

struct Session {
  const RunOptions& options;
  const RunPolicy& policy;
  std::unique_ptr<RunBackend> enforcer;
  CgroupOwner& cgroup;
  OwnAddresses addresses;
  std::optional<RefusalAnswerer> answerer;  // none within a workload: raw sockets are refused there
  Report report;
  SignalRelay& signals;
  std::unique_ptr<RunProxy> proxy = nullptr;  // none where loopback is down
  bool stopped_on_refusal = false;
  bool told_of_failure = false;
  BootTime next_look{};  // for network namespaces

  // Of what a run can go on without: the first one is told.
  void tell(const Error& error) {
    if (!told_of_failure) report.note(error.message());
    told_of_failure = true;
  }

  ~Session() {
    if (cgroup.remove()) enforcer->clear();
  }

  std::size_t serve_events() {
    const auto count = enforcer->consume_events(kEventsPerTurn, [&](const Event& event) {
      report.add(event);
      // Where it cannot be had, the refusals go on and tell of it.
      if (proxy && event.reason == NW_REASON_NO_PROXY_IN_NETNS) (void)proxy->serve_namespace_of(event);
      // An error here says that nobody waits for the answer, or that it would go elsewhere (refusal_answer.h).
      if (answerer && wants_answer(event)) {
        (void)answerer->answer(event, words_for(event, &policy.image), now());
      }
    });
    if (!count) tell(count.error());
    stop_if_refused();
    return count ? *count : 0;
  }

  void stop_if_refused() {
    if (options.stop_on_refusal && !stopped_on_refusal && report.has_refusals()) {
      stopped_on_refusal = true;
      if (auto killed = cgroup.get().kill_all(); !killed) tell(killed.error());
    }
  }

  Result<void> open_proxy(std::uint64_t own_netns);
  void serve_proxy() {
    if (!proxy) return;
    proxy->serve();
    proxy->tick(now());
    stop_if_refused();
  }
  // Processes of the run in network namespaces of their own. True: there are new ones, and maybe descriptors to watch.
  bool follow_namespaces() {
    if (!enforcer->follows_namespaces() || now() < next_look) return false;
    next_look = now() + RunProxy::kLookEvery;
    const auto found = enforcer->follow_namespaces();
    for (const RunBackend::Stranger& process : found) {
      if (proxy) (void)proxy->serve_namespace(process.netns_cookie, process.pid);
    }
    return !found.empty();
  }
  // For epoll_wait(2).
  int patience() const {
    auto deadline = proxy ? proxy->next_deadline() : std::nullopt;
    if (enforcer->follows_namespaces()) deadline = deadline ? std::min(*deadline, next_look) : next_look;
    if (!deadline) return -1;
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(*deadline - now());
    return static_cast<int>(std::clamp<std::int64_t>(wait.count(), 0, 1000));
  }

  Result<void> refresh_addresses() {
    const Result<std::vector<Address>> current = addresses.read();
    if (!current) return tl::unexpected(current.error());
    if (proxy) proxy->set_own_addresses(*current);
    return enforcer->set_own_addresses(*current);
  }

  void keep_house() {
    if (const auto kept = enforcer->keep_house(); !kept) tell(kept.error());
    if (report.lines_wait()) report.flush_lines();
  }

  Result<CommandEnd> serve_until_end(const LaunchedCommand& command);
  int finish(const CommandEnd& end);
};

Result<void> Session::open_proxy(std::uint64_t own_netns) {
  RunProxy::Options proxy_options;
  proxy_options.own_netns_cookie = own_netns;
  proxy_options.cgroup_fd = cgroup.get().fd();
  proxy_options.name = policy.policy.name;
  proxy_options.use_marks = bpf::can_receive_marks();
  proxy_options.report = [this](const Event& event) { report.add(event); };
  auto opened = RunProxy::open(*enforcer, policy.image, std::move(proxy_options));
  if (opened) {
    proxy = std::move(*opened);
  } else if (opened.error().kind != ErrorKind::kUnsupported || policy.image.learn == Learn::kProxy) {
    return tl::unexpected(opened.error());
  } else {
    report.note("DNS over TCP is refused: " + opened.error().message());
  }
  return {};
}

// What is watched already stays so.
Result<void> watch(int poller, const std::vector<int>& descriptors) {
  for (const int fd : descriptors) {
    if (fd < 0) continue;
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.fd = fd;
    if (::epoll_ctl(poller, EPOLL_CTL_ADD, fd, &interest) != 0 && errno != EEXIST) {
      return fail_errno(errno, "cannot watch a descriptor in the event loop");
    }
  }
  return {};
}

Result<CommandEnd> Session::serve_until_end(const LaunchedCommand& command) {
  const FileDescriptor poller(::epoll_create1(EPOLL_CLOEXEC));
  const FileDescriptor timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  const itimerspec every_second{{1, 0}, {1, 0}};
  if (!poller || !timer || ::timerfd_settime(timer.get(), 0, &every_second, nullptr) != 0) {
    return fail_errno(errno, "cannot make the event loop");
  }
  std::vector<int> watched = enforcer->event_fds();
  for (const int fd : {signals.fd(), addresses.fd(), timer.get(), proxy ? proxy->fd() : -1}) watched.push_back(fd);
  if (auto done = watch(poller.get(), watched); !done) return tl::unexpected(done.error());
  for (;;) {
    std::array<epoll_event, 16> ready{};
    const int count = ::epoll_wait(poller.get(), ready.data(), static_cast<int>(ready.size()), patience());
    if (count < 0 && errno != EINTR) return fail_errno(errno, "cannot wait in the event loop");
    serve_proxy();
    if (follow_namespaces()) {
      if (auto done = watch(poller.get(), enforcer->event_fds()); !done) tell(done.error());
    }
    for (int i = 0; i < count; ++i) {
      const int fd = ready[static_cast<std::size_t>(i)].data.fd;
      if (fd == addresses.fd()) {
        if (!addresses.consume_changes()) continue;
        if (auto done = refresh_addresses(); !done) tell(done.error());
      } else if (fd == timer.get()) {
        std::uint64_t expirations = 0;
        if (::read(timer.get(), &expirations, sizeof expirations) > 0) keep_house();
      } else if (fd == signals.fd()) {
        const Result<std::optional<CommandEnd>> end = signals.handle(command.pidfd.get());
        if (!end) return tl::unexpected(end.error());
        if (*end) return **end;
      } else if (!proxy || fd != proxy->fd()) {
        serve_events();
      }
    }
  }
}

int Session::finish(const CommandEnd& end) {
  constexpr int kMaxTurns = 64;  // background processes may go on making events for ever
  for (int turn = 0; turn < kMaxTurns && serve_events() == kEventsPerTurn; ++turn) {
  }
  proxy.reset();  // the kernel is not to send questions to ports that anybody may bind now
  const auto grants = enforcer->read_grants();
  if (!grants) tell(grants.error());
  const auto counters = enforcer->read_counters();
  if (!counters) tell(counters.error());
  if (cgroup.remove()) {
    enforcer->clear();
  } else {
    report.note("processes of the command still run in " + cgroup.get().name() +
                ", confined as before; the first namewall command after their end removes the cgroup");
  }
  const int exit_code = stopped_on_refusal ? kExitStopOnRefusal : end.by_signal ? 128 + end.code : end.code;
  report.finish(exit_code, grants ? *grants : std::vector<GrantRecord>{}, counters ? *counters : Counters{});
  if (!stopped_on_refusal && end.by_signal) end_like(end);
  return exit_code;
}

}  // namespace

int run_session(const RunOptions& options) {
  if (::geteuid() != 0) return own_failure("run needs root, to make and arm a cgroup; start it with sudo");
  const LoadedRunPolicy sources = load_run_policy(options.policy);
  if (!sources.loaded || !options.report.quiet) {  // else they are warnings
    for (const std::string& message : sources.messages) std::fprintf(stderr, "namewall: %s\n", message.c_str());
  }
  if (!sources.loaded) return kExitOwnFailure;
  const RunPolicy& policy = *sources.loaded;
  const Result<Credentials> credentials =
      options.user.empty()
          ? find_invoking_credentials(::getenv("SUDO_UID"), ::getenv("SUDO_GID"), ::getuid(), ::getgid())
          : find_credentials(options.user);
  if (!credentials) return own_failure(credentials.error().message());
  const Result<std::string> own_cgroup = find_own_cgroup_directory();
  if (!own_cgroup) return own_failure(own_cgroup.error().message());

  Result<Report> report = Report::open(options.report);
  if (!report) return own_failure(report.error().message());
  Result<SignalRelay> signals = SignalRelay::open();
  if (!signals) return own_failure(signals.error().message());
  Result<RefusalAnswerer> answerer = RefusalAnswerer::open();
  if (!answerer && answerer.error().kind != ErrorKind::kPermission) return own_failure(answerer.error().message());
  Result<OwnAddresses> addresses = OwnAddresses::open();
  if (!addresses) return own_failure(addresses.error().message());
  const Result<std::uint64_t> netns = bpf::netns_cookie();
  if (!netns) return own_failure(netns.error().message());

  Result<RunCgroup> made = RunCgroup::create(*own_cgroup);
  if (!made) return own_failure(made.error().message());
  CgroupOwner cgroup(std::move(*made));
  auto enforcer = arm_run(cgroup.get().fd(), cgroup.get().name(), policy.image, *netns);
  if (!enforcer) return own_failure(enforcer.error().message());

  Session session{options,
                  policy,
                  std::move(*enforcer),
                  cgroup,
                  std::move(*addresses),
                  answerer ? std::optional(std::move(*answerer)) : std::nullopt,
                  std::move(*report),
                  *signals};
  if (auto done = session.open_proxy(*netns); !done) return own_failure(done.error().message());
  if (auto done = session.refresh_addresses(); !done) return own_failure(done.error().message());
  if (const std::optional<int> early = signals->take_early_end()) {
    if (cgroup.remove()) session.enforcer->clear();
    end_like({true, *early});
  }

  LaunchPlan plan;
  plan.cgroup_fd = cgroup.get().fd();
  plan.arguments = options.command;
  plan.environment = build_environment(own_environment(), *credentials);
  plan.credentials = *credentials;
  plan.keep = options.keep;
  session.report.start(
      {cgroup.get().name().substr(kCgroupOwnerPrefix.size()), credentials->uid, policy.policy, policy.image});
  const auto command = launch(plan, *signals);
  if (!command) {
    own_failure(command.error().message);
    return command.error().exit_code;
  }
  const StartFacts facts{options.command.front(),      options.keep,          credentials->is_root(),
                         session.answerer.has_value(), find_proxy_variable(), command->closed_descriptors.size()};
  for (const std::string& note : build_start_notes(facts)) session.report.note(note);
  const Result<CommandEnd> end = session.serve_until_end(*command);
  if (!end) {
    // The command goes on, confined; nobody waits for it any more.
    return own_failure(end.error().message() + "; the command goes on in " + cgroup.get().name());
  }
  return session.finish(*end);
}

}  // namespace namewall::agent
