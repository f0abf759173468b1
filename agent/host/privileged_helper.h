// The daemon's small privileged helper: a process forked while the daemon is still root, which enters other processes'
// network namespaces, makes probe cgroups and reads other users' /proc. It serves a fixed list of requests over a
// socketpair, each in a child process of its own that is killed at its deadline. It ends with the daemon.
//
// All requests are asynchronous: nothing here blocks. Each callback is called exactly once, from read_answers() or
// expire() and never from the requesting call itself: with the answer, or kLimit (its deadline, or too many requests
// wait), or kSystem (the helper is dead). Callbacks may make new requests; they must not destroy the helper.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "agent/host/foreign_users.h"
#include "agent/host/live_proof.h"
#include "agent/host/netns_sockets.h"
#include "agent/host/proxy_namespaces.h"
#include "agent/host/restricted_cgroup.h"
#include "nft/host_enforcer.h"
#include "policy/boot_time.h"
#include "policy/result.h"

namespace namewall::agent {

class PrivilegedHelper {
 public:
  template <typename T>
  using Done = std::function<void(Result<T>)>;

  // Forks. Call as root with one thread, early and before drop_privileges(). The helper closes what it inherits but 0,
  // 1 and 2.
  static Result<PrivilegedHelper> start();
  PrivilegedHelper(PrivilegedHelper&&) noexcept;
  PrivilegedHelper& operator=(PrivilegedHelper&&) noexcept;
  ~PrivilegedHelper();  // ends the helper; callbacks that wait are not called

  // Sockets in the network namespace of the process, if its cookie is that one.
  void open_sockets(std::uint32_t pid, std::uint64_t netns_cookie, BootTime now, Done<NetnsSockets> done);
  // `cgroup_fd`s are a directory of a cgroup2 mount; only read during the call.
  void prove(int cgroup_fd, const ProofPlan& plan, BootTime now, Done<ProofOutcome> done);
  // kLimit where the workload's own file systems hold the inspection up: the workload is partial until one succeeds.
  // `left_out`: a process that is not looked at, or 0.
  void inspect(int cgroup_fd, std::uint32_t left_out, BootTime now, Done<std::vector<ForeignUser>> done);
  void list_namespaces(int cgroup_fd, BootTime now, Done<NetnsList> done);
  // The DNS proxy's sockets in the network namespace of the process, as open_netns_proxy(). At most
  // kMaxPlacesPerRequest resolvers, at least one.
  void open_proxy(std::uint32_t pid, std::uint64_t netns_cookie, const std::vector<ResolverAddress>& resolvers,
                  BootTime now, Done<NetnsProxy> done);
  // As make_netns_sockets(); `netns` is only read during the call.
  void make_sockets(int netns, std::uint64_t netns_cookie, const SocketCounts& counts, BootTime now,
                    Done<std::vector<FileDescriptor>> done);
  void check_processes(const std::vector<ProcessInNetns>& processes, BootTime now, Done<std::uint64_t> done);
  // As nft::open_netns_sockets() with the daemon's log group, in the network namespace of the process.
  void open_tables(std::uint32_t pid, std::uint64_t netns_cookie, BootTime now, Done<nft::NetnsSockets> done);
  void scan_namespaces(BootTime now, Done<NetnsScan> done);

  // As restricted_cgroup.h. `caller`, `directory` and `process` are only read during the call. An obstacle comes with
  // its error.
  void make_restricted(int caller, const RestrictOrder& order, BootTime now,
                       std::function<void(RestrictedCgroupOutcome)> done);
  void enter_restricted(int directory, int process, std::uint64_t from_id, BootTime now, Done<void> done);
  void remove_restricted(int directory, BootTime now, Done<void> done);

  // Readable (epoll, level-triggered): call read_answers(). Stays readable once the helper has ended: leave it out
  // then.
  int fd() const;
  void read_answers();
  std::optional<BootTime> next_deadline() const;  // call expire() then
  void expire(BootTime now);

  // False once the helper has ended. It cannot be started again (the daemon has no right to): a warning, and the
  // service manager's restart of the daemon is the way out. Enforcement does not depend on it.
  bool is_alive() const;
  pid_t pid() const;
  std::size_t waiting() const;

  static constexpr std::size_t kMaxWaiting = 64;

 private:
  struct State;
  explicit PrivilegedHelper(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::agent
