// The BPF backend: loads the programs, arms cgroups, replaces policies, reads back what the kernel holds.
//
// Without pins enforcement lives exactly as long as the cgroup: the attached programs keep their maps, and nothing
// that happens to this process changes that. Closing an Enforcer detaches nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bpf/grant_records.h"
#include "bpf/kernel_probe.h"
#include "policy/event.h"
#include "policy/grant_table.h"
#include "policy/lesson.h"
#include "policy/policy_image.h"
#include "policy/proxy_place.h"
#include "policy/result.h"

namespace namewall::bpf {

struct LoadOptions {
  std::uint32_t max_names = 1u << 20;  // nodes of all name tries together
  std::uint32_t max_workloads = 1;     // slots
  std::uint32_t event_ring_bytes = 1u << 20;
  std::uint32_t max_children = 1;  // of templates
  // Whose a question to the proxy is, its packet's mark says; else take_asker.
  bool use_marks = can_receive_marks();
  KernelAbilities kernel = probe_abilities();
};

struct ArmOptions {
  // Cookies of the network namespaces whose DNS is trusted beside those that the host's administrator made. At least
  // the caller's own (netns_cookie()).
  std::vector<std::uint64_t> trusted_netns;
  bool strict = false;  // the cgroup may hold sockets older than its arming
  bool is_template =
      false;  // each direct child is a workload of its own, the cgroup's own processes are not restricted
};

// One armed cgroup.
struct Workload {
  std::uint32_t id = 0;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;  // of the policy in force
  std::uint64_t cgroup_id = 0;
};

class Enforcer {
 public:
  // kUnsupported, kPermission: what is missing, in one sentence. Nothing is attached yet.
  static Result<Enforcer> load(const LoadOptions& options);
  Enforcer(Enforcer&&) noexcept;
  Enforcer& operator=(Enforcer&&) noexcept;
  ~Enforcer();

  // All or nothing: when this returns an error the cgroup is as before. When it returns, every socket call of a process
  // in the cgroup is judged; there is no moment without the policy and none with an empty one.
  Result<Workload> arm(int cgroup_fd, const PolicyImage& image, const ArmOptions& options);
  // Atomic: every verdict is by the old policy or by the new one. Grants whose names the new policy allows are kept.
  Result<void> replace(Workload& workload, const PolicyImage& image, bool strict);
  // Detaches the programs from the cgroup and forgets its tables.
  Result<void> disarm(int cgroup_fd, const Workload& workload);

  // The host's own addresses: an answer never teaches them.
  Result<void> set_own_addresses(const std::vector<Address>& addresses);

  Result<std::vector<GrantRecord>> read_grants(const Workload& workload) const;
  Result<Counters> read_counters(const Workload& workload) const;
  // Removes names whose grants have been over for that long; returns how many. Until then they explain refusals, and a
  // live flow can still be judged by name. A learner whose name table is full removes expired ones itself.
  Result<std::uint32_t> reap(const Workload& workload, std::chrono::seconds expired_for = std::chrono::hours(1));

  // Puts the lesson into the tables of the workload. NW_REASON_NONE: all of it is in; else why not (GrantSink::teach).
  // The kernel goes by its own clock; `now` is the caller's.
  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now);
  void teach_all(std::span<LessonOrder> orders);  // in few system calls

  // The kernel is to send questions for the place's resolver there, from now on; or no more.
  Result<void> add_proxy_place(const ProxyPlace& place);
  Result<void> remove_proxy_place(const ProxyPlace& place);
  std::vector<ProxyPlace> proxy_places() const;
  // The innermost workload that a packet's mark names (bits 16 to 31). nullopt: none has the token (any more), and 0.
  std::optional<std::uint64_t> cgroup_of_token(AskerToken token) const;
  // Who sent a question whose mark has no token: found once, for 5 s. Messages of more than 512 bytes are nobody's.
  std::optional<std::uint64_t> take_asker(const AskerKey& key);

  // Adds grants from user space, for benchmarks and tests: the same placement as the kernel's.
  Result<std::size_t> add_grants(const Workload& workload, const std::vector<Grant>& grants);

  // Of the loaded object, for tests; owned by this.
  int map_fd(const std::string& name) const;
  int program_fd(const std::string& name) const;

  int event_fd() const;  // readable (epoll) when events wait
  // Calls `handle` for every waiting event, at most `max`.
  Result<std::size_t> consume_events(std::size_t max, const std::function<void(const Event&)>& handle);

 private:
  struct State;
  explicit Enforcer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The cookie of this process's network namespace.
Result<std::uint64_t> netns_cookie();

}  // namespace namewall::bpf
