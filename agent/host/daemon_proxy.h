// The daemon's DNS proxy (proxy/dns_proxy.h) joined to the rest of the daemon: who asks, where it listens, what the
// kernel is told, what becomes of it when policies change or the daemon ends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/host/held_places.h"
#include "agent/host/host_parts.h"
#include "agent/host/served_namespaces.h"
#include "agent/host/upstream_sockets.h"
#include "agent/host/workload_arming.h"
#include "agent/host/workload_askers.h"
#include "agent/proxy/dns_proxy.h"

namespace namewall::agent {

class DaemonProxy final : public ProxyHost, public GrantSink, public ArmingFollower {
 public:
  // `report`: where events of the kernel go, too. All outlive this.
  DaemonProxy(HostParts& parts, EventLoop& loop, ServiceNotify& notify, std::function<void()> meet_children,
              std::function<void(const Event&)> report);

  // Once, before anything is armed. `held`: what the service manager kept.
  Result<void> open(std::vector<HeldDescriptor> held);
  // Once, when what should be armed is: places of an earlier daemon that nobody serves any more are withdrawn.
  void settle();
  // Nobody serves the places any more. With a service manager that keeps the sockets they stay.
  void end();

  // A process finds no proxy in its network namespace.
  void take_refusal(const Event& event);
  // A process of this workload is in that namespace, where nftables enforces: nothing there tells of it.
  void serve_namespace(std::uint64_t cookie, std::uint32_t pid, const Workload& workload);
  void set_own_addresses(const std::vector<Address>& addresses) { proxy_->set_own_addresses(addresses); }
  // After each turn of the loop.
  void turned();
  void tick(BootTime now);  // every ServedNamespaces::kLookInterval
  std::optional<BootTime> next_deadline() const { return proxy_->next_deadline(); }

  // ---- what is told ----
  ProxyFigures figures() const { return proxy_->figures(); }
  ProxyFigures figures_of(std::uint64_t cgroup_id) const;
  std::vector<std::pair<std::uint64_t, ProxyFigures>> figures_by_workload() const {
    return proxy_->figures_by_workload();
  }
  std::vector<ServedNetns> served() const { return places_->list(); }
  std::vector<std::string> warnings() const { return places_->warnings(); }
  // "kernel" or "proxy", and why it is the proxy: which way the workload's DNS over UDP goes.
  struct DnsPath {
    bool is_proxy = false;
    std::string why;
  };
  DnsPath path_of(const Workload& workload) const;

  // ---- ProxyHost ----
  Asker find_asker(AskerToken token) override;
  Asker find_asker_of_cgroup(std::uint64_t cgroup_id) override { return askers_.find_of_cgroup(cgroup_id); }
  Asker take_asker(const AskerKey& key) override;
  GrantSink& sink() override { return *this; }
  void report(const Event& event) override;
  Result<void> announce(const ProxyPlace& place) override;
  void withdraw(const ProxyPlace& place) override;
  // ---- GrantSink ----
  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) override;
  void teach_all(std::span<LessonOrder> orders, BootTime now) override;
  // ---- ArmingFollower ----
  void will_hold(const PolicyImage& image) override { places_->serve_own(image); }
  void has_changed(std::uint64_t cgroup_id) override { changed_.insert(cgroup_id); }
  void has_processes() override { places_->look_around(); }

 private:
  // Of one workload's events: as many in about a second as the kernel sends.
  struct EventWindow {
    std::int64_t second = 0;
    std::uint32_t count = 0;
    std::uint64_t left_out = 0;
  };
  void refresh_agent_names();

  HostParts& parts_;
  EventLoop& loop_;
  bool outlives_;  // a service manager keeps the sockets
  HeldPlaces held_;
  UpstreamSockets upstream_;
  WorkloadAskers askers_;
  std::function<void()> meet_children_;
  std::function<void(const Event&)> report_;
  std::optional<DnsProxy> proxy_;
  std::optional<ServedNamespaces> places_;
  std::set<std::uint64_t> changed_;
  std::unordered_map<std::uint64_t, EventWindow> windows_;  // by cgroup id
  std::uint64_t reviewed_generation_ = 0;
  std::size_t reviewed_workloads_ = 0;
  bool has_agent_templates_ = false;
};

}  // namespace namewall::agent
