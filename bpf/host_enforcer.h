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

#include "bpf/damage.h"
#include "bpf/enforcer.h"
#include "bpf/image_hash.h"
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
  bool use_marks = can_receive_marks();
  KernelAbilities kernel = probe_abilities();
};

// What happens with the cgroups below an armed one.
enum class Children {
  kJoin,   // they belong to the workload
  kApart,  // a template: each direct child, with what is below it, is a workload of its own from its first instruction
};

struct HostArmOptions {
  std::vector<std::uint64_t> trusted_netns;
  bool strict = false;
  Children children = Children::kJoin;
};

struct ArmRequest {
  int cgroup_fd = -1;                        // only read during the call
  std::string cgroup;                        // path in the hierarchy, "/ci.slice/job"
  std::shared_ptr<const PolicyImage> image;  // equal images share their rules in the kernel
  HostArmOptions options;
};

struct ArmedCgroup {
  std::uint64_t cgroup_id = 0;
  std::string cgroup;  // "" of a child that the kernel met
  std::uint32_t workload_id = 0;
  std::uint32_t generation = 0;
  std::uint32_t layer = 0;
  bool is_strict = false;
  bool is_template = false;
  bool is_child = false;          // has a row under a template
  bool has_own_policy = false;    // of a child: armed by user space; else its template's policy holds it
  std::uint64_t template_id = 0;  // cgroup id of that template
  bool is_known = false;          // its image is known (armed here, or recognised)
  std::uint64_t image_hash = 0;   // of the policy in force (hash_of)
};

struct AdoptionReport {
  std::uint32_t workloads = 0;
  std::uint32_t live_grants = 0;
  bool programs_replaced = false;  // another build's: replaced in place on every cgroup
  std::uint32_t hooks_replaced = 0;
  std::chrono::nanoseconds longest_replacement{};  // of one hook; there is no moment without a program
};

class HostEnforcer {
 public:
  // kPermission, kUnsupported as Enforcer::load. kConflict: another process holds the directory, its owner is another,
  // or its version is unknown.
  static Result<HostEnforcer> open(const HostOptions& options);
  HostEnforcer(HostEnforcer&&) noexcept;
  HostEnforcer& operator=(HostEnforcer&&) noexcept;
  ~HostEnforcer();

  const AdoptionReport& adoption() const;

  // One result for each request, in order. Each cgroup all or nothing, as Enforcer::arm; tables are published together
  // (one wait for RCU for all). A cgroup that is armed already: kConflict. A cgroup below a template of its parent gets
  // a row there, no programs of its own; what it has learned as an unnamed child stays.
  std::vector<Result<ArmedCgroup>> arm(const std::vector<ArmRequest>& requests);
  // The image's max_addresses has no effect here: tables keep the size that they were armed with.
  // Atomic, grants kept as far as the new policy allows their names. A template's children without a policy of their
  // own change with it, atomically.
  Result<ArmedCgroup> replace(std::uint64_t cgroup_id, std::shared_ptr<const PolicyImage> image, bool strict);
  // Only the strict flag.
  Result<void> set_strict(std::uint64_t cgroup_id, bool strict);
  // Everything is refused from now on; stays armed.
  Result<void> deny_all(std::uint64_t cgroup_id);
  // Says which policy and path an adopted cgroup has: kConflict when the image in force is another (replace it then).
  Result<void> recognise(std::uint64_t cgroup_id, const std::string& cgroup, std::shared_ptr<const PolicyImage> image);
  // Lifts enforcement. The only thing that does. A child falls back to its template's policy; with a template its
  // children are let go, too.
  Result<void> disarm(int cgroup_fd, std::uint64_t cgroup_id);
  // The cgroup is gone: frees what was kept for it.
  void forget(std::uint64_t cgroup_id);
  // Processes in new children of this cgroup get no sockets until the child (or a cgroup between) is armed.
  Result<void> guard(int cgroup_fd, std::uint64_t cgroup_id);
  Result<void> unguard(int cgroup_fd, std::uint64_t cgroup_id);
  // By cgroup id, its path as of the guarding, or of the adoption.
  std::map<std::uint64_t, std::string> guarded() const;

  // Armed cgroups and the templates' children that the kernel has met since (is_child, without a policy of their own).
  Result<std::vector<ArmedCgroup>> armed() const;
  std::optional<ArmedCgroup> find(std::uint64_t cgroup_id) const;

  Result<void> set_own_addresses(const std::vector<Address>& addresses);
  Result<std::vector<GrantRecord>> read_grants(std::uint64_t cgroup_id) const;
  Result<Counters> read_counters(std::uint64_t cgroup_id) const;
  Result<std::uint32_t> reap(std::uint64_t cgroup_id, std::chrono::seconds expired_for = std::chrono::hours(1));

  // As Enforcer::teach. Children of templates that the kernel met cost a look at their row (a system call) each time.
  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now);
  void teach_all(std::span<LessonOrder> orders);

  // As Enforcer's, of every layer. Places outlive the process: an adopting one finds them here.
  Result<void> add_proxy_place(const ProxyPlace& place);
  Result<void> remove_proxy_place(const ProxyPlace& place);
  std::vector<ProxyPlace> proxy_places() const;
  std::optional<std::uint64_t> cgroup_of_token(AskerToken token) const;
  std::optional<std::uint64_t> take_asker(const AskerKey& key);
  // The workload and those that it is nested in, innermost first. Empty: it is not armed. A template's child is one
  // level, its template none.
  std::vector<std::uint64_t> levels_of(std::uint64_t cgroup_id) const;

  std::vector<int> event_fds() const;  // of all layers; may grow when a layer is opened: ask again after arm
  // `Event::cgroup_id` says whose it is.
  Result<std::size_t> consume_events(std::size_t max, const std::function<void(const Event&)>& handle);

  // Compares what the kernel holds with what was armed: attached programs, rows, pins, the directory's owner, mode and
  // place. Repairs what it can. At most `budget` cgroups a call, in turn: about 25 us each, most of it one question to
  // the kernel for each of 15 hooks. Rows of children whose cgroup is gone are forgotten every 10 s.
  std::vector<Damage> verify(std::size_t budget);
  // As verify(), in a turn of its own: only the policy that each cgroup's programs go by, about 1 us each.
  std::vector<Damage> verify_policies(std::size_t budget);
  // By one question to the kernel: whether programs of ours seem to be attached less often than when verify() last
  // ended a turn. True only if the call before saw it too: a cgroup that ends loses its programs a moment before or
  // after it is forgotten. nullopt: this kernel does not tell.
  std::optional<bool> seems_detached();
  // The next verify() begins with a new turn, of that many cgroups.
  std::size_t begin_turn();
  // Makes spare tables and removes retired rules. May wait for RCU: in a thread of its own, or when nothing else waits.
  Result<void> keep_house();

  // Removes every pin and detaches everything, also of cgroups that this process never heard of.
  // What was lifted, a line each.
  static Result<std::vector<std::string>> teardown_all(const HostOptions& options);

 private:
  struct State;
  explicit HostEnforcer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::bpf
