#include "agent/host/daemon.h"

#include <grp.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/control/control_server.h"
#include "agent/control/control_socket.h"
#include "agent/control/metrics_listener.h"
#include "agent/host/daemon_parts.h"
#include "agent/host/host_clock.h"
#include "agent/host/house_keeper.h"
#include "agent/host/service_notify.h"

namespace namewall::agent {
namespace {

constexpr Nanoseconds kSecond = std::chrono::seconds(1);
constexpr const char* kHeldControl = "control";  // its name at the service manager

LogNames names_of(namewall::LogNames names) {
  switch (names) {
    case namewall::LogNames::kAll:
      return LogNames::kAll;
    case namewall::LogNames::kRefused:
      return LogNames::kRefused;
    case namewall::LogNames::kNone:
      return LogNames::kNone;
  }
  return LogNames::kNone;
}

Priority priority_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return Priority::kDebug;
    case LogLevel::kInfo:
      return Priority::kInfo;
    case LogLevel::kWarning:
      return Priority::kWarning;
    case LogLevel::kError:
      return Priority::kError;
  }
  return Priority::kInfo;
}

std::optional<std::uint32_t> gid_of(const std::string& group) {
  const struct group* found = ::getgrnam(group.c_str());
  if (found == nullptr) return std::nullopt;
  return found->gr_gid;
}

std::string milliseconds_of(Nanoseconds duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) + " ms";
}

Nanoseconds monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

// Out of what an earlier daemon gave away: the control socket, so that nobody is refused between the two.
FileDescriptor take_control_socket(std::vector<HeldDescriptor>& held) {
  FileDescriptor socket;
  for (HeldDescriptor& descriptor : held) {
    if (descriptor.name == kHeldControl) socket = std::move(descriptor.fd);
  }
  return socket;
}

std::string adoption_sentence(const AdoptionReport& adopted, Nanoseconds gap, std::uint32_t armed) {
  return "adopted " + std::to_string(adopted.workloads) + " workloads, " + std::to_string(adopted.live_grants) +
         " grants kept, " +
         (adopted.programs_replaced ? "programs replaced in " + milliseconds_of(adopted.longest_replacement)
                                    : std::string("programs as they were")) +
         ", gap " + milliseconds_of(gap) + "; armed " + std::to_string(armed) + " more";
}

}  // namespace

struct HostDaemon::Loop {
  Loop(const DaemonOptions& from, std::vector<HeldDescriptor> left, PrivilegedStart&& root, DaemonSources&& sources)
      : options(from),
        held_control(take_control_socket(left)),
        held(std::move(left)),
        parts(from, std::move(root), std::move(sources), [this] { apply_settings(); }) {}

  Result<void> begin();
  Result<void> open_control();
  Result<void> watch();
  void watch_event_rings();
  void apply_settings();
  void open_metrics();
  void refresh_addresses();
  void take_events() { more_events = parts.intake.take(); }
  void take_answers();
  void take_signals();
  void reload();
  void every_second(BootTime now);
  Nanoseconds longest_wait(BootTime now) const;
  void turned(Nanoseconds busy);
  void stop();

  DaemonOptions options;
  FileDescriptor held_control;
  std::vector<HeldDescriptor> held;  // the rest
  DaemonParts parts;
  std::optional<HouseKeeper> house;
  std::optional<ControlServer> control;
  std::optional<MetricsListener> metrics;
  std::string metrics_error;
  std::vector<std::string> start_warnings;
  std::vector<int> rings;
  std::uint64_t seen_generation = 0;
  bool more_events = false;
  bool stops = false;
};

Result<void> HostDaemon::Loop::begin() {
  HostParts& host = parts.host;
  host.figures.started = boot_now();
  host.figures.started_at = rfc3339_milliseconds(utc_now());
  start_warnings = parts.state.load(host.figures.started);
  for (const std::string& error : parts.reload.read_first()) parts.diary.log(Priority::kError, error);
  apply_settings();
  for (std::string& warning : parts.state.restore(host.figures.started)) start_warnings.push_back(std::move(warning));
  for (const std::string& warning : start_warnings) parts.diary.log(Priority::kWarning, warning);
  if (auto opened = parts.proxy.open(std::move(held)); !opened) return opened;
  refresh_addresses();
  const Reconciler::Outcome outcome = parts.reconciler.reconcile();
  parts.proxy.settle();
  parts.restriction.take_over();
  house.emplace(*parts.root.enforcer);
  if (auto opened = open_control(); !opened) return opened;
  if (auto watched = watch(); !watched) return watched;

  const AdoptionReport& adopted = parts.root.enforcer->adoption();
  const auto last_life = parts.sources.life.last_utc();
  const Nanoseconds gap = last_life ? std::max(utc_now() - *last_life, Nanoseconds::zero()) : Nanoseconds::zero();
  host.figures.grants_adopted = adopted.live_grants;
  if (adopted.workloads != 0) host.figures.adoption_gap_ms = std::chrono::duration<double, std::milli>(gap).count();
  parts.sources.life.give();
  const std::string sentence = adoption_sentence(adopted, gap, outcome.armed);
  parts.diary.notice(Priority::kNotice, "", "started", sentence);
  parts.state.save_all();
  // A service manager that does not listen is no reason to leave the host without its daemon.
  if (const auto told = parts.notify.ready(sentence); !told)
    parts.diary.log(Priority::kWarning, told.error().message());
  return {};
}

Result<void> HostDaemon::Loop::open_control() {
  ControlServer::Options control_options;
  control_options.path = options.run_directory + "/control.sock";
  control_options.access.own_uid = parts.root.user.uid;
  control_options.access.readers_gid = gid_of(parts.host.settings().group);
  // A held one whose file was removed reaches nobody.
  const bool is_held = held_control && is_control_socket_served(control_options.path);
  if (is_held) control_options.listening_fd = held_control.release();
  auto opened = ControlServer::open(control_options, parts.service);
  if (!opened) return tl::unexpected(opened.error());
  control.emplace(std::move(*opened));
  if (is_held) return {};
  if (held_control) (void)parts.notify.release(kHeldControl);
  held_control.reset();
  if (const auto kept = parts.notify.hold(kHeldControl, control->listening_fd()); !kept) {
    parts.diary.log(Priority::kWarning, kept.error().message());
  }
  return {};
}

void HostDaemon::Loop::open_metrics() {
  if (metrics) parts.sources.loop.unwatch(metrics->fd());
  metrics.reset();
  metrics_error.clear();
  const auto& wanted = parts.host.settings().metrics_listen;
  if (!wanted) return;
  const std::string address = wanted->address.to_string();
  auto opened = MetricsListener::open(
      (wanted->address.is_v4() ? address : "[" + address + "]") + ":" + std::to_string(wanted->port.number),
      [this] { return parts.service.metrics(); });
  if (!opened) {
    metrics_error = opened.error().message();
    return parts.diary.notice(Priority::kError, "", "metrics_listener", metrics_error);
  }
  metrics.emplace(std::move(*opened));
  if (!parts.sources.loop.watch(metrics->fd(), [this] { metrics->serve(); })) metrics.reset();
}

void HostDaemon::Loop::apply_settings() {
  parts.event_log.set_log_names(names_of(parts.host.settings().log_names));
  parts.log.set_least(priority_of(parts.host.settings().log_level));
  open_metrics();
}

void HostDaemon::Loop::refresh_addresses() {
  const auto own = parts.root.addresses.read();
  if (!own) return parts.diary.log(Priority::kError, own.error().message());
  parts.host.own_addresses = *own;
  parts.proxy.set_own_addresses(*own);
  if (const auto done = parts.root.enforcer->set_own_addresses(*own); !done) {
    parts.diary.notice(Priority::kError, "", "own_addresses", done.error().message());
  }
}

Result<void> HostDaemon::Loop::watch() {
  const auto follow = [this](const CgroupChanges& news) {
    parts.reconciler.follow(news, parts.sources.loop.ready_since());
  };
  const std::pair<int, std::function<void()>> sources[] = {
      {parts.sources.signals.get(), [this] { take_signals(); }},
      {control->fd(), [this] { control->serve(); }},
      {parts.root.helper.fd(), [this] { take_answers(); }},
      {parts.root.addresses.fd(),
       [this] {
         if (parts.root.addresses.consume_changes()) refresh_addresses();
       }},
      {parts.sources.cgroups.fd(), [this, follow] { follow(parts.sources.cgroups.consume()); }},
      {parts.sources.ends.fd(),
       [this] {
         for (const std::uint64_t id : parts.sources.ends.consume()) parts.arming.forget(id);
       }},
      {parts.sources.emptied.fd(), [this] { parts.restriction.take_emptied(); }},
      {parts.sources.folder.fd(),
       [this] {
         if (const auto settled = parts.sources.folder.consume(); settled && *settled) reload();
       }},
  };
  for (const auto& [fd, ready] : sources) {
    if (auto watched = parts.sources.loop.watch(fd, ready); !watched) return watched;
  }
  watch_event_rings();
  parts.sources.loop.every(kSecond, [this](BootTime now) { every_second(now); });
  parts.sources.loop.every(DamageWatch::kEach, [this](BootTime) { parts.damage.tick(); });
  parts.sources.loop.every(ServedNamespaces::kLookInterval, [this](BootTime now) { parts.proxy.tick(now); });
  parts.sources.loop.every(ServedNamespaces::kLookInterval, [this](BootTime now) { parts.tables.tick(now); });
  parts.sources.loop.every(Reconciler::kLookAgain, [this](BootTime) { parts.reconciler.look_again(); });
  return {};
}

void HostDaemon::Loop::watch_event_rings() {
  const std::vector<int> now = parts.root.enforcer->event_fds();
  if (now == rings) return;
  for (const int ring : rings) {
    if (std::find(now.begin(), now.end(), ring) == now.end()) parts.sources.loop.unwatch(ring);
  }
  for (const int ring : now) {
    if (const auto done = parts.sources.loop.watch(ring, [this] { take_events(); }); !done) {
      parts.diary.log(Priority::kError, done.error().message());
    }
  }
  rings = now;
}

void HostDaemon::Loop::take_answers() {
  parts.root.helper.read_answers();
  if (parts.root.helper.is_alive()) return;
  parts.sources.loop.unwatch(parts.root.helper.fd());
  parts.diary.notice(Priority::kError, "", "helper_ended",
                     "the privileged helper has ended: no live proofs and no judging of old sockets until a restart");
}

void HostDaemon::Loop::reload() {
  (void)parts.notify.reloading(monotonic_now());
  const ReloadView view = parts.reload.reload(nullptr);
  (void)parts.notify.ready(view.ok ? "reloaded" : "reloaded with errors: " + view.errors.front());
}

void HostDaemon::Loop::take_signals() {
  signalfd_siginfo signal{};
  while (::read(parts.sources.signals.get(), &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGHUP) {
      parts.diary.reopen_files();
      reload();
    } else {
      stops = true;
    }
  }
}

void HostDaemon::Loop::every_second(BootTime now) {
  parts.calls.end_overdue(now);
  parts.flows.retry(now);
  parts.proofs.tick(now);
  parts.inspections.tick(now);
  parts.usage.tick(now);
  parts.restriction.tick(now);
  parts.reaping.tick();
  parts.answers.drop_idle();
  parts.state.tidy();
  parts.diary.tick(now);
  parts.sources.life.give();
  std::vector<std::string> warnings = start_warnings;
  if (!metrics_error.empty()) warnings.push_back(metrics_error);
  if (const std::string error = house->last_error(); !error.empty()) warnings.push_back(error);
  parts.status.set_warnings(std::move(warnings));
}

Nanoseconds HostDaemon::Loop::longest_wait(BootTime now) const {
  Nanoseconds wait = kSecond;
  const auto at_most = [&](int milliseconds) {
    if (milliseconds >= 0) wait = std::min<Nanoseconds>(wait, std::chrono::milliseconds(milliseconds));
  };
  at_most(control->timeout_ms());
  if (metrics) at_most(metrics->timeout_ms());
  if (const auto deadline = parts.root.helper.next_deadline()) wait = std::min(wait, *deadline - now);
  if (const auto deadline = parts.proxy.next_deadline()) wait = std::min(wait, *deadline - now);
  return more_events ? Nanoseconds::zero() : wait;
}

void HostDaemon::Loop::turned(Nanoseconds busy) {
  const BootTime now = boot_now();
  parts.host.figures.loop_stall.observe(busy);
  if (more_events) take_events();
  parts.root.helper.expire(now);
  parts.flows.start_waiting(now);
  parts.proxy.turned();
  if (control->timeout_ms() == 0) control->serve();
  if (metrics && metrics->timeout_ms() == 0) metrics->serve();
  if (parts.host.figures.generation != seen_generation) {
    seen_generation = parts.host.figures.generation;
    watch_event_rings();
    parts.tables.look_soon();
    house->wake();
  }
  parts.state.save_changes();
  (void)parts.notify.turned(now);
}

void HostDaemon::Loop::stop() {
  (void)parts.notify.stopping("stopped; " + std::to_string(parts.host.registry.size()) + " workloads stay held");
  parts.diary.log(Priority::kNotice, "stopped; what is held stays held");
  parts.proxy.end();
  parts.diary.finish();
  parts.state.save_all();
  parts.sources.life.give();
}

HostDaemon::HostDaemon(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
HostDaemon::HostDaemon(HostDaemon&&) noexcept = default;
HostDaemon& HostDaemon::operator=(HostDaemon&&) noexcept = default;
HostDaemon::~HostDaemon() = default;

Result<HostDaemon> HostDaemon::start(const DaemonOptions& options) {
  auto held = ServiceNotify::take_held();
  if (!held) return tl::unexpected(held.error());
  auto root = start_privileged(options);
  if (!root) return tl::unexpected(root.error());
  auto sources = DaemonSources::open(options);
  if (!sources) return tl::unexpected(sources.error());
  auto loop = std::make_unique<Loop>(options, std::move(*held), std::move(*root), std::move(*sources));
  if (auto begun = loop->begin(); !begun) return tl::unexpected(begun.error());
  return HostDaemon(std::move(loop));
}

Result<void> HostDaemon::run() {
  Loop& loop = *loop_;
  while (!loop.stops) {
    const auto busy = loop.parts.sources.loop.turn(loop.longest_wait(boot_now()));
    if (!busy) return tl::unexpected(busy.error());
    loop.turned(*busy);
  }
  loop.stop();
  return {};
}

}  // namespace namewall::agent
