// Enforcement for a whole host that outlives the process: maps and programs are pinned, the programs are attached to
// the cgroups themselves (BPF_PROG_ATTACH, ALLOW_MULTI), so that nothing in bpffs opens anything when it is deleted and
// a removed cgroup leaves nothing behind. Closing a HostEnforcer changes nothing in the kernel; opening one adopts what
// it finds.
//
// Nested workloads are in different layers, each a set of programs and maps of its own (a socket's storage belongs to
// one layer): the smallest layer that no workload above or below uses. Their verdicts intersect.
//
// What is pinned, below the directory (0700, owned by `owner`; a directory of anybody else is an error):
//   v<NW_ABI_VERSION>/layer<N>/{maps,programs-<build>,tables}/
// Two descriptors stay open for each workload (its tables can be pinned again only from them): open() raises the limit
// of open files to the hard limit.
//
// Calls may come from several threads; only consume_events is for one at a time. keep_house is the one that waits for
// RCU: it does so without the lock that the others take.
//
// Any other v<M> is of a version that this one does not know: kConflict, nothing is touched.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bpf/enforcer.h"
#include "policy/backend.h"
#include "policy/image_hash.h"
#include "policy/policy_image.h"
#include "policy/result.h"

namespace namewall::bpf {

struct HostOptions {
  std::string directory = "/sys/fs/bpf/namewall";
  std::uint32_t owner_uid = 0, owner_gid = 0;
  std::uint32_t max_workloads = 16384;  // of one layer
  std::uint32_t max_names = 1u << 20;
  std::uint32_t event_ring_bytes = 4u << 20;
  std::uint32_t spare_tables = 64;  // made ahead, so that arming one workload does not wait for RCU
  // Once workloads nest: loaded ahead by keep_house(), so that nesting one deeper does not wait for 150 ms.
  bool keeps_spare_layer = false;
  bool use_marks = can_receive_marks();
  KernelAbilities kernel = probe_abilities();
};

class HostEnforcer final : public HostBackend {
 public:
  // kPermission, kUnsupported as Enforcer::load. kConflict: another process holds the directory, its owner is another,
  // or its version is unknown.
  static Result<HostEnforcer> open(const HostOptions& options);
  HostEnforcer(HostEnforcer&&) noexcept;
  HostEnforcer& operator=(HostEnforcer&&) noexcept;
  ~HostEnforcer() override;

  // ---- HostBackend ----
  const AdoptionReport& adoption() const override;
  // Tables are published together (one wait for RCU for all requests). A cgroup below a template of its parent gets a
  // row there, no programs of its own; what it has learned as an unnamed child stays.
  std::vector<Result<ArmedCgroup>> arm(const std::vector<ArmRequest>& requests) override;
  Result<ArmedCgroup> replace(std::uint64_t cgroup_id, std::shared_ptr<const PolicyImage> image, bool strict) override;
  Result<void> set_strict(std::uint64_t cgroup_id, bool strict) override;
  Result<void> deny_all(std::uint64_t cgroup_id) override;
  Result<void> recognise(std::uint64_t cgroup_id, const std::string& cgroup,
                         std::shared_ptr<const PolicyImage> image) override;
  Result<void> disarm(int cgroup_fd, std::uint64_t cgroup_id) override;
  void forget(std::uint64_t cgroup_id) override;
  Result<void> guard(int cgroup_fd, std::uint64_t cgroup_id) override;
  Result<void> unguard(int cgroup_fd, std::uint64_t cgroup_id) override;
  std::map<std::uint64_t, std::string> guarded() const override;
  Result<std::vector<ArmedCgroup>> armed() const override;
  std::optional<ArmedCgroup> find(std::uint64_t cgroup_id) const override;
  Result<void> set_own_addresses(const std::vector<Address>& addresses) override;
  Result<std::vector<GrantRecord>> read_grants(std::uint64_t cgroup_id) const override;
  Result<Counters> read_counters(std::uint64_t cgroup_id) const override;
  Result<std::uint32_t> reap(std::uint64_t cgroup_id,
                             std::chrono::seconds expired_for = std::chrono::hours(1)) override;
  // Children of templates that the kernel met cost a look at their row (a system call) each time.
  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) override;
  void teach_all(std::span<LessonOrder> orders, BootTime now) override;
  // Of every layer.
  Result<void> add_proxy_place(const ProxyPlace& place) override;
  Result<void> remove_proxy_place(const ProxyPlace& place) override;
  std::vector<ProxyPlace> proxy_places() const override;
  std::optional<std::uint64_t> cgroup_of_token(AskerToken token) const override;
  std::optional<std::uint64_t> take_asker(const AskerKey& key) override;
  std::vector<std::uint64_t> levels_of(std::uint64_t cgroup_id) const override;
  std::vector<int> event_fds() const override;  // of all layers; may grow when a layer is opened
  Result<std::size_t> consume_events(std::size_t max, const std::function<void(const Event&)>& handle) override;
  // Attached programs, rows, pins, the directory's owner, mode and place. About 25 us a cgroup, most of it one question
  // to the kernel for each of 15 hooks. Rows of children whose cgroup is gone are forgotten every 10 s.
  std::vector<Damage> verify(std::size_t budget) override;
  std::vector<Damage> verify_policies(std::size_t budget) override;  // about 1 us each
  // verify() of all, which repairs as it goes: without `repair` nothing is looked at.
  Result<DriftReport> find_drift(bool repair) override;
  std::optional<bool> seems_detached() override;
  std::size_t begin_turn() override;
  // Makes spare tables and a spare layer, and removes retired rules.
  Result<void> keep_house() override;

  // Removes every pin and detaches everything, also of cgroups that this process never heard of.
  // What was lifted, a line each.
  static Result<std::vector<std::string>> teardown_all(const HostOptions& options);

 private:
  struct State;
  explicit HostEnforcer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::bpf
