#include "agent/host/daemon_proxy.h"

#include <algorithm>
#include <utility>

#include "agent/host/cgroup_scan.h"
#include "agent/host/host_clock.h"
#include "bpf/abi.h"
#include "bpf/kernel_probe.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxWindows = 65536;

std::vector<ExistingCgroup> list_cgroups(const CgroupWatcher& cgroups) {
  auto all = scan_cgroups(cgroups.directory_of("/"), "/");
  return all ? std::move(*all) : std::vector<ExistingCgroup>{};
}

}  // namespace

DaemonProxy::DaemonProxy(HostParts& parts, EventLoop& loop, ServiceNotify& notify, std::function<void()> meet_children,
                         std::function<void(const Event&)> report)
    : parts_(parts),
      loop_(loop),
      outlives_(notify.is_listened_to()),
      held_(notify),
      upstream_(parts.helper),
      askers_(parts.registry, parts.figures, {meet_children, [this] { return list_cgroups(parts_.cgroups); }}),
      meet_children_(std::move(meet_children)),
      report_(std::move(report)) {}

Result<void> DaemonProxy::open(std::vector<HeldDescriptor> held) {
  DnsProxyOptions options;
  options.use_marks = bpf::can_receive_marks();
  options.own_netns_cookie = parts_.own_netns;
  options.make_socket = [this](const ProxyNetns& netns, int family, int type) {
    return upstream_.take(netns.cookie, family, type);
  };
  auto opened = DnsProxy::open(options, *this);
  if (!opened) return tl::unexpected(opened.error());
  proxy_.emplace(std::move(*opened));
  places_.emplace(parts_, *proxy_, held_, upstream_, loop_);
  places_->adopt(held_.adopt(std::move(held)));
  parts_.proxy_fd = proxy_->fd();
  parts_.serve_proxy = [this] { proxy_->serve(); };
  return loop_.watch(proxy_->fd(), [this] { proxy_->serve(); });
}

void DaemonProxy::settle() {
  for (const ProxyPlace& place : parts_.enforcer.proxy_places()) {
    // What is being opened is announced later, at the ports that are known.
    if (!proxy_->serves(place.netns_cookie, place.resolver) && !places_->is_awaited(place)) withdraw(place);
  }
  places_->settle();
}

void DaemonProxy::end() {
  if (!outlives_) places_->withdraw_all();
}

void DaemonProxy::take_refusal(const Event& event) {
  const Workload* workload = std::as_const(parts_.registry).find_by_id(event.cgroup_id);
  if (workload != nullptr) places_->want(event.netns_cookie, event.pid, *workload, boot_now());
}

void DaemonProxy::serve_namespace(std::uint64_t cookie, std::uint32_t pid, const Workload& workload) {
  places_->want(cookie, pid, workload, boot_now());
}

void DaemonProxy::turned() {
  const auto deadline = proxy_->next_deadline();
  if (deadline && *deadline <= boot_now()) proxy_->serve();
  if (changed_.empty()) return;
  const auto changed = std::exchange(changed_, {});
  std::set<std::uint64_t> askers(changed);
  for (const std::uint64_t id : askers_.kept_with(changed)) askers.insert(id);
  for (const std::uint64_t id : askers) {
    askers_.forget(id);
    proxy_->forget_workload(id);
  }
}

void DaemonProxy::tick(BootTime now) {
  // A template's children have the agent's names from the moment that somebody knows them.
  if (has_agent_templates_) meet_children_();
  if (parts_.figures.generation != reviewed_generation_ || parts_.registry.size() != reviewed_workloads_) {
    reviewed_generation_ = parts_.figures.generation;
    reviewed_workloads_ = parts_.registry.size();
    places_->review(now);
    refresh_agent_names();
    if (windows_.size() > kMaxWindows) windows_.clear();
  }
  places_->tick(now);
}

void DaemonProxy::refresh_agent_names() {
  std::vector<std::uint64_t> ids;
  bool has_template = false;
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    if (!workload.is_armed || !workload.policy || workload.policy->image()->agent_names.empty()) return;
    const bool is_template = workload.held_by == HeldBy::kTemplate;
    has_template = has_template || is_template;
    if (!is_template) ids.push_back(workload.cgroup_id);
  });
  has_agent_templates_ = has_template;
  std::vector<Asker> askers;
  for (const std::uint64_t id : ids) {
    if (Asker asker = askers_.find(id)) askers.push_back(std::move(asker));
  }
  proxy_->keep_fresh(askers);
}

DaemonProxy::DnsPath DaemonProxy::path_of(const Workload& workload) const {
  const auto levels = askers_.levels_of(workload).workloads;
  const Workload* level = level_that_wants_proxy(levels);
  if (level == nullptr) return {};
  const std::string& own_why = level->policy->image()->learn_why;
  const std::string why = own_why.empty() ? "the policy says so" : own_why;
  return {true, level == &workload ? why : level->name + ", in which it lies, has the proxy: " + why};
}

ProxyFigures DaemonProxy::figures_of(std::uint64_t cgroup_id) const {
  for (const auto& [id, figures] : proxy_->figures_by_workload()) {
    if (id == cgroup_id) return figures;
  }
  return {};
}

Asker DaemonProxy::find_asker(AskerToken token) {
  const auto cgroup_id = parts_.enforcer.cgroup_of_token(token);
  return cgroup_id ? askers_.find(*cgroup_id) : nullptr;
}

Asker DaemonProxy::take_asker(const AskerKey& key) {
  const auto cgroup_id = parts_.enforcer.take_asker(key);
  return cgroup_id ? askers_.find(*cgroup_id) : nullptr;
}

void DaemonProxy::report(const Event& event) {
  const std::int64_t second = event.time.since_boot.count() >> 30;
  EventWindow& window = windows_[event.cgroup_id];
  if (window.second != second) window = {second, 0, window.left_out};
  if (++window.count > NW_EVENTS_PER_WINDOW) {
    ++window.left_out;
    return;
  }
  Event told = event;
  told.left_out += std::exchange(window.left_out, 0);
  report_(told);
}

Result<void> DaemonProxy::announce(const ProxyPlace& place) { return parts_.enforcer.add_proxy_place(place); }

void DaemonProxy::withdraw(const ProxyPlace& place) {
  if (const auto done = parts_.enforcer.remove_proxy_place(place); !done) {
    parts_.diary.log(Priority::kError, done.error().message());
  }
}

Reason DaemonProxy::teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) {
  return parts_.enforcer.teach(cgroup_id, lesson, now);
}

void DaemonProxy::teach_all(std::span<LessonOrder> orders, BootTime now) { parts_.enforcer.teach_all(orders, now); }

}  // namespace namewall::agent
