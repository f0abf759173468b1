// Where the daemon's DNS proxy listens: in the daemon's own network namespace for the resolvers of all workloads, in
// another one while a process of a workload is in it. Opened there by the helper; found by a refusal that names a
// process (NO_PROXY_IN_NETNS), or by a look at all processes after workloads were armed that have some.
//
// One process stands for each other namespace. That it ends is told at once (pidfd); that it still is where it was, and
// of a workload, is looked at twice a second, kMaxCheckedProcesses namespaces at a time, in turn. Without it another
// one is looked for among all processes of the host; with none the sockets close.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/host/event_loop.h"
#include "agent/host/held_places.h"
#include "agent/host/host_parts.h"
#include "agent/host/upstream_sockets.h"
#include "agent/proxy/dns_proxy.h"

namespace namewall::agent {

struct ServedNetns {
  std::uint64_t cookie = 0;
  bool is_own = false;
  std::vector<ResolverAddress> resolvers;
  std::uint32_t pid = 0;  // of the process that stands for it; 0: own, or being looked for
};

class ServedNamespaces {
 public:
  static constexpr std::size_t kMaxNamespaces = 1024;  // other ones; beyond it lookups by the proxy fail there
  static constexpr std::size_t kMaxOwnResolvers = 256;
  static constexpr std::size_t kMaxResolvers = 32;  // of each other namespace
  static constexpr Nanoseconds kLookInterval = std::chrono::milliseconds(500);
  static constexpr Nanoseconds kRetryAfter = std::chrono::seconds(1);

  // All outlive this.
  ServedNamespaces(HostParts& parts, DnsProxy& proxy, HeldPlaces& held, UpstreamSockets& upstream, EventLoop& loop);
  ~ServedNamespaces();
  ServedNamespaces(const ServedNamespaces&) = delete;

  // What an earlier daemon left. In the daemon's own namespace it is served as far as policies want it: what they do
  // not is closed by settle(). Other namespaces are served again as soon as the helper has answered.
  void adopt(std::map<std::uint64_t, AdoptedNetns> left);
  void settle();
  // In the daemon's own namespace, before a workload is held to this policy.
  void serve_own(const PolicyImage& image);
  // The process of this workload is in that namespace and finds no proxy.
  void want(std::uint64_t cookie, std::uint32_t pid, const Workload& workload, BootTime now);
  // Processes of workloads may be in namespaces that nobody has named.
  void look_around() { must_look_ = true; }
  // Something changed: resolvers that nobody wants any more, processes that are no workload's any more.
  void review(BootTime now);
  void tick(BootTime now);  // every kLookInterval
  // Of everything: the kernel is told, the sockets close.
  void withdraw_all();

  // Its sockets are there, and wait for those towards resolvers.
  bool is_awaited(const ProxyPlace& place) const;
  std::vector<ServedNetns> list() const;
  std::vector<std::string> warnings() const;

 private:
  struct Other;
  struct Refused {
    BootTime until;
    std::string why;
  };

  Result<void> add_own_netns();
  void open_own(const ResolverAddress& resolver, BootTime now);
  void take_opened(std::uint64_t cookie, std::uint32_t pid, const std::vector<ResolverAddress>& resolvers,
                   bool needs_upstream, Result<NetnsProxy> opened);
  void enter(std::uint64_t cookie, std::uint32_t pid, NetnsProxy opened, const std::vector<ResolverAddress>& resolvers,
             bool needs_upstream);
  void begin_serving(std::uint64_t cookie);
  void refuse(std::uint64_t cookie, const std::string& why);
  void stand_for(std::uint64_t cookie, std::uint32_t pid);
  void lose(std::uint64_t cookie);
  void check_some(BootTime now);
  void look(BootTime now);
  void take_scan(const Result<NetnsScan>& scan);
  void close(std::uint64_t cookie);
  const Workload* workload_of(std::uint32_t pid) const;

  HostParts& parts_;
  DnsProxy& proxy_;
  HeldPlaces& held_;
  UpstreamSockets& upstream_;
  EventLoop& loop_;
  std::map<std::uint64_t, std::unique_ptr<Other>> others_;  // by netns cookie
  std::set<std::uint64_t> opening_;
  std::map<std::uint64_t, Refused> refused_;
  std::set<ResolverAddress> own_;
  std::map<ResolverAddress, ProxySockets> left_;  // of the own namespace, until settle()
  std::map<ResolverAddress, Refused> own_refused_;
  std::deque<std::uint64_t> round_;  // to be checked
  bool is_own_added_ = false;
  bool must_look_ = false, is_looking_ = false, is_full_ = false;
  std::uint64_t looks_ = 0;
  std::shared_ptr<ServedNamespaces*> self_;  // answers of the helper may come after the end
};

}  // namespace namewall::agent
