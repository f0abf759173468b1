// The DNS proxy of one process: sockets in the network namespaces it serves, ProxyCore between them and the resolvers.
// One thread; nothing here blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "agent/proxy/asker.h"
#include "agent/proxy/grant_sink.h"
#include "agent/proxy/proxy_core.h"
#include "agent/proxy/proxy_sockets.h"
#include "policy/event.h"
#include "policy/proxy_place.h"
#include "policy/result.h"

namespace namewall::agent {

// What the proxy asks of whoever runs it.
class ProxyHost {
 public:
  virtual ~ProxyHost() = default;
  // By the mark of a packet to a proxy place; nullptr: no such workload (any more).
  virtual Asker find_asker(AskerToken token) = 0;
  // By the cgroup of a TCP peer's socket (any depth below the workload).
  virtual Asker find_asker_of_cgroup(std::uint64_t cgroup_id) = 0;
  // Of a packet without a token: where marks cannot be had, and of workloads for which no token was left.
  virtual Asker take_asker(const AskerKey& key) = 0;
  virtual GrantSink& sink() = 0;
  virtual void report(const Event& event) = 0;
  // The kernel is to send questions there, or no more. Called before the first question can come, and before the
  // sockets close.
  virtual Result<void> announce(const ProxyPlace& place) = 0;
  virtual void withdraw(const ProxyPlace& place) = 0;
};

// Of one network namespace, opened there and passed here.
struct ProxyNetns {
  std::uint64_t cookie = 0;
  FileDescriptor netns;      // /proc/PID/ns/net, for sockets towards resolvers that live there; none: the agent's own
  FileDescriptor diagnosis;  // NETLINK_SOCK_DIAG in it
};

struct DnsProxyOptions {
  ProxyLimits limits;
  bool use_marks = true;  // SO_RCVMARK (5.19); false: take_asker
  std::uint64_t own_netns_cookie = 0;
  // Makes a socket towards a resolver in another namespace; blocks for as long as a system call.
  std::function<Result<FileDescriptor>(const ProxyNetns& netns, int family, int type)> make_socket;
};

// Beside what ProxyCore counts.
struct ProxySocketFigures {
  std::uint64_t unknown_askers = 0;  // questions and connections that were dropped
  std::uint64_t lost_replies = 0;    // that the kernel did not take; of the places there are now
  std::uint64_t stray_answers = 0;   // of resolvers: late or forged
  std::uint32_t connections = 0;     // of clients, now
  std::size_t channels = 0;          // sockets towards resolvers, now
};

class DnsProxy {
 public:
  static Result<DnsProxy> open(const DnsProxyOptions& options, ProxyHost& host);
  DnsProxy(DnsProxy&&) noexcept;
  DnsProxy& operator=(DnsProxy&&) noexcept;
  ~DnsProxy();  // withdraws nothing: what the kernel was told stays (held sockets are answered by the next process)

  Result<void> add_netns(ProxyNetns netns);
  // Serves `resolver` there by these sockets.
  Result<void> add_sockets(std::uint64_t netns_cookie, const ResolverAddress& resolver, ProxySockets sockets);
  bool serves(std::uint64_t netns_cookie, const ResolverAddress& resolver) const;
  // Withdraws and closes what is in the namespace.
  void remove_netns(std::uint64_t netns_cookie);
  std::vector<std::uint64_t> namespaces() const;

  void set_own_addresses(std::vector<Address> addresses);
  void forget_workload(std::uint64_t cgroup_id);
  // resolve = "agent": the workloads whose names the agent keeps fresh; replaces the list before.
  void keep_fresh(const std::vector<Asker>& workloads);

  int fd() const;  // readable (epoll): call serve()
  // Takes what is ready: a bounded amount, so that the caller's loop goes on.
  void serve();
  // When serve() is wanted next, without readiness. Ask again after each serve() and keep_fresh().
  std::optional<BootTime> next_deadline() const;

  ProxyFigures figures() const;
  ProxySocketFigures socket_figures() const;
  std::vector<std::pair<std::uint64_t, ProxyFigures>> figures_by_workload() const;

 private:
  struct State;
  explicit DnsProxy(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::agent
