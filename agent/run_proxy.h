// The DNS proxy of one `namewall run`: in the run's own network namespace from the start, in others that its processes
// enter once the kernel tells of them, until none is left there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/proxy/dns_proxy.h"
#include "agent/run_backend.h"

namespace namewall::agent {

class RunProxy final : public ProxyHost, public GrantSink {
 public:
  static constexpr Nanoseconds kLookEvery = std::chrono::milliseconds(500);  // whether a namespace is left

  struct Options {
    std::uint64_t own_netns_cookie = 0;
    int cgroup_fd = -1;
    std::string name;  // of the workload, for texts
    bool use_marks = true;
    std::function<void(const Event&)> report;
  };

  // Opens the places in the own namespace and tells the kernel; the run is armed. All outlive this. `image` needs not.
  // kUnsupported: there can be none here, because loopback is down.
  static Result<std::unique_ptr<RunProxy>> open(RunBackend& enforcer, const PolicyImage& image, Options options);
  ~RunProxy() override;  // the places are withdrawn

  void set_own_addresses(const std::vector<Address>& addresses) { proxy_->set_own_addresses(addresses); }
  // A process found no proxy in its network namespace. Opens it, within a thread that enters that namespace. An error
  // when it cannot be had, or the namespace is served or tried already.
  Result<void> serve_namespace_of(const Event& event) { return serve_namespace(event.netns_cookie, event.pid); }
  Result<void> serve_namespace(std::uint64_t cookie, std::uint32_t pid);

  int fd() const { return proxy_->fd(); }
  void serve() { proxy_->serve(); }
  std::optional<BootTime> next_deadline() const;
  // Closes what is in namespaces that no process of the run is in any more; looks every kLookEvery.
  void tick(BootTime now);
  std::size_t namespaces() const { return proxy_->namespaces().size(); }

  // ---- ProxyHost ----
  Asker find_asker(AskerToken token) override;
  Asker find_asker_of_cgroup(std::uint64_t cgroup_id) override;
  Asker take_asker(const AskerKey& key) override;
  GrantSink& sink() override { return *this; }
  void report(const Event& event) override { options_.report(event); }
  Result<void> announce(const ProxyPlace& place) override { return enforcer_.add_proxy_place(place); }
  void withdraw(const ProxyPlace& place) override { (void)enforcer_.remove_proxy_place(place); }
  // ---- GrantSink ----
  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) override {
    return enforcer_.teach(cgroup_id, lesson, now);
  }
  void teach_all(std::span<LessonOrder> orders, BootTime now) override { enforcer_.teach_all(orders, now); }

 private:
  RunProxy(RunBackend& enforcer, Options options);
  Result<void> add_own_places();

  RunBackend& enforcer_;
  std::uint64_t cgroup_id_;
  Options options_;
  Asker asker_;
  std::optional<DnsProxy> proxy_;
  std::set<std::uint64_t> cgroups_;                // the workload's own and those below it, as last listed
  BootTime next_listing_;                          // not before: whoever connects can make us look
  std::map<std::uint64_t, std::uint64_t> inodes_;  // of namespaces served beside the own, by cookie
  std::map<std::uint64_t, BootTime> retry_after_;  // of namespaces that could not be served, by cookie
  BootTime next_look_;
};

}  // namespace namewall::agent
