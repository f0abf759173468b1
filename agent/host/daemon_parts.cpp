#include "agent/host/daemon_parts.h"

#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "agent/host/host_clock.h"

namespace namewall::agent {
namespace {

FolderPaths folder_paths(const DaemonOptions& options) {
  return {options.config_directory + "/policies.d", options.config_directory + "/host.toml", options.group_directory};
}

Result<FileDescriptor> open_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return fail_errno(errno, "cannot block signals");
  std::signal(SIGPIPE, SIG_IGN);
  FileDescriptor fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_errno(errno, "cannot take signals");
  return fd;
}

}  // namespace

Result<DaemonSources> DaemonSources::open(const DaemonOptions& options) {
  auto signals = open_signals();
  if (!signals) return tl::unexpected(signals.error());
  auto cgroups = CgroupWatcher::open();
  if (!cgroups) return tl::unexpected(cgroups.error());
  auto ends = CgroupEnds::open(cgroups->directory_of("/"));
  if (!ends) return tl::unexpected(ends.error());
  auto emptied = EmptyCgroups::open();
  if (!emptied) return tl::unexpected(emptied.error());
  auto hub = EventHub::open();
  if (!hub) return tl::unexpected(hub.error());
  auto loop = EventLoop::open();
  if (!loop) return tl::unexpected(loop.error());
  const FolderPaths paths = folder_paths(options);
  auto folder = FolderWatcher::open(paths.policies, paths.host_file);
  if (!folder) return tl::unexpected(folder.error());
  auto life = LifeSign::open(options.run_directory + "/alive");
  if (!life) return tl::unexpected(life.error());
  return DaemonSources{std::move(*signals), std::move(*cgroups), std::move(*ends),   std::move(*emptied),
                       std::move(*hub),     std::move(*loop),    std::move(*folder), std::move(*life)};
}

DaemonParts::DaemonParts(const DaemonOptions& options, PrivilegedStart&& privileged, DaemonSources&& opened,
                         std::function<void()> settings_changed)
    : root(std::move(privileged)),
      sources(std::move(opened)),
      changes(options.log_directory + "/changes.jsonl"),
      diary(sources.hub, log, changes, event_log),
      host(*root.enforcer, root.helper, sources.cgroups, sources.ends, sources.hub, diary),
      flows(host),
      arming(host, flows),
      reconciler(host, arming),
      proxy(
          host, sources.loop, notify, [this] { reconciler.meet_children(); },
          [this](const Event& event) { intake.add(event); }),
      tables(host, {[this] { return root.tables(); },
                    [this](std::uint64_t cookie, std::uint32_t pid, const Workload& workload) {
                      proxy.serve_namespace(cookie, pid, workload);
                    }}),
      inspections(host),
      proofs(host),
      usage(host, totals),
      views(host, flows, usage, proxy),
      status(host, usage, totals, proxy),
      calls(host, arming, flows, inspections),
      lifting(host, arming),
      restriction(host, arming, sources.emptied),
      reload(host, arming, reconciler, folder_paths(options), std::move(settings_changed)),
      answers(root.helper, std::move(root.answerer), boot_now),
      intake(host, reconciler, proofs, answers, [this](const Event& event) { proxy.take_refusal(event); }),
      damage(host),
      reaping(host),
      state(host, options.state_directory + "/state.json", root.user.uid),
      service({host, views, status, calls, lifting, restriction, proofs,
               [this](const Peer* peer) { return reload.reload(peer); }, [this] { state.save_changes(); },
               [this] { reconciler.meet_children(); }}) {
  host.own_netns = root.netns;
  host.context = PolicyContext::read_shipped(options.group_directory);
  arming.set_follower(proxy);
  // A manifest that cannot be watched is read when the folder is.
  reload.watch_others_by([this](std::set<std::string> files) { (void)sources.folder.watch_also(std::move(files)); });
}

}  // namespace namewall::agent
