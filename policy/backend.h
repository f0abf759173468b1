// The seam between the daemon and what enforces: BPF (bpf/host_enforcer.h) or nftables (nft/host_enforcer.h). Both obey
// judge() (verdict.h); what one of them cannot do is said in docs/backends.md and in `check`.
//
// A backend outlives the process: closing one changes nothing in the kernel, opening one adopts what it finds. Nested
// workloads intersect. Workloads are named by their cgroup's id everywhere; an id is never used again within one boot.
//
// Calls may come from several threads; only consume_events is for one at a time. keep_house may wait for the kernel: it
// does so without the lock that the others take.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "policy/event.h"
#include "policy/grant_table.h"
#include "policy/lesson.h"
#include "policy/policy_image.h"
#include "policy/proxy_place.h"
#include "policy/result.h"

namespace namewall {

// What happens with the cgroups below an armed one.
enum class Children {
  kJoin,   // they belong to the workload
  kApart,  // a template: each direct child, with what is below it, is a workload of its own. BPF: from its first
           // instruction; nft: refused everything until it is armed
};

struct HostArmOptions {
  std::vector<std::uint64_t> trusted_netns;  // cookies
  bool strict = false;                       // the cgroup may hold sockets older than its arming
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
  Backend backend = Backend::kBpf;
  std::uint32_t layer = 0;  // BPF
  bool is_strict = false;
  bool is_template = false;
  bool is_child = false;          // is held under a template
  bool has_own_policy = false;    // of a child: armed by user space; else its template's policy holds it
  std::uint64_t template_id = 0;  // cgroup id of that template
  bool is_known = false;          // its image is known (armed here, or recognised)
  std::uint64_t image_hash = 0;   // of the policy in force (image_hash.h)
};

struct AdoptionReport {
  std::uint32_t workloads = 0;
  std::uint32_t live_grants = 0;
  bool programs_replaced = false;  // another build's programs or rules: replaced in place, for every workload
  std::uint32_t hooks_replaced = 0;
  std::chrono::nanoseconds longest_replacement{};  // of one hook; there is no moment without a program
};

struct GrantRecord {
  Grant grant;
  PortMask current_ports = 0;  // under the policy in force
  std::uint32_t hits = 0;      // BPF; nft does not count them
  bool is_private = false;
  // nft, since this process began or adopted it; the kernel's maps of BPF do not say.
  std::optional<BootTime> learned = std::nullopt, renewed = std::nullopt;
};

struct Counters {
  std::vector<std::uint64_t> by_reason;                         // indexed by Reason
  std::vector<std::pair<std::string, std::uint64_t>> counters;  // name in bpf/abi.h, value
};

// Something that the kernel no longer held as it was left.
struct Damage {
  std::string what;  // one sentence: what was found
  bool repaired = false;
};

// What the kernel holds beside the model, everywhere.
struct DriftReport {
  std::size_t unknown = 0, missing = 0;  // elements of tables
  std::vector<std::string> table = {};   // what else somebody changed, a sentence each
  std::vector<std::string> unrepaired = {};
};

class HostBackend {
 public:
  virtual ~HostBackend() = default;

  virtual const AdoptionReport& adoption() const = 0;

  // One result for each request, in order; each cgroup all or nothing. A cgroup that is armed already: kConflict.
  // Parents before what is below them.
  virtual std::vector<Result<ArmedCgroup>> arm(const std::vector<ArmRequest>& requests) = 0;
  // Atomic, grants kept as far as the new policy allows their names. A template's children without a policy of their
  // own change with it, atomically. The image's max_addresses has no effect in BPF: tables keep the size that they were
  // armed with.
  virtual Result<ArmedCgroup> replace(std::uint64_t cgroup_id, std::shared_ptr<const PolicyImage> image,
                                      bool strict) = 0;
  virtual Result<void> set_strict(std::uint64_t cgroup_id, bool strict) = 0;  // only that flag
  // Everything is refused from now on; stays armed.
  virtual Result<void> deny_all(std::uint64_t cgroup_id) = 0;
  // Says which policy and path an adopted cgroup has: kConflict when the image in force is another (replace it then).
  virtual Result<void> recognise(std::uint64_t cgroup_id, const std::string& cgroup,
                                 std::shared_ptr<const PolicyImage> image) = 0;
  // Lifts enforcement. The only thing that does. A child falls back to its template's policy; with a template its
  // children are let go, too.
  virtual Result<void> disarm(int cgroup_fd, std::uint64_t cgroup_id) = 0;
  // The cgroup is gone: frees what was kept for it.
  virtual void forget(std::uint64_t cgroup_id) = 0;
  // Processes in new children of this cgroup get no sockets (nft: no connections) until the child (or a cgroup between)
  // is armed.
  virtual Result<void> guard(int cgroup_fd, std::uint64_t cgroup_id) = 0;
  // The same, by the one that will arm those children; of one backend alone there is no choice.
  virtual Result<void> guard_by(Backend, int cgroup_fd, std::uint64_t cgroup_id) { return guard(cgroup_fd, cgroup_id); }
  virtual Result<void> unguard(int cgroup_fd, std::uint64_t cgroup_id) = 0;
  // By cgroup id, its path as of the guarding, or of the adoption.
  virtual std::map<std::uint64_t, std::string> guarded() const = 0;

  // Armed cgroups and the templates' children that the kernel has met since (is_child, without a policy of their own).
  virtual Result<std::vector<ArmedCgroup>> armed() const = 0;
  virtual std::optional<ArmedCgroup> find(std::uint64_t cgroup_id) const = 0;

  virtual Result<void> set_own_addresses(const std::vector<Address>& addresses) = 0;
  virtual Result<std::vector<GrantRecord>> read_grants(std::uint64_t cgroup_id) const = 0;
  virtual Result<Counters> read_counters(std::uint64_t cgroup_id) const = 0;
  // Removes names whose grants have been over for that long; returns how many.
  virtual Result<std::uint32_t> reap(std::uint64_t cgroup_id,
                                     std::chrono::seconds expired_for = std::chrono::hours(1)) = 0;

  // NW_REASON_NONE: every grant is in the kernel, acknowledged. Else why not (GrantSink::teach). The kernel goes by its
  // own clock; `now` is the caller's.
  virtual Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) = 0;
  virtual void teach_all(std::span<LessonOrder> orders, BootTime now) = 0;  // in few system calls

  // The kernel is to send questions for the place's resolver there, from now on; or no more. Places outlive the
  // process: an adopting one finds them here.
  virtual Result<void> add_proxy_place(const ProxyPlace& place) = 0;
  virtual Result<void> remove_proxy_place(const ProxyPlace& place) = 0;
  virtual std::vector<ProxyPlace> proxy_places() const = 0;
  // The innermost workload that a packet's mark names (bits 16 to 31). nullopt: none has the token (any more), and 0.
  virtual std::optional<std::uint64_t> cgroup_of_token(AskerToken token) const = 0;
  // Who sent a question whose mark has no token: found once, for 5 s.
  virtual std::optional<std::uint64_t> take_asker(const AskerKey& key) = 0;
  // The workload and those that it is nested in, innermost first. Empty: it is not armed. A template's child is one
  // level, its template none.
  virtual std::vector<std::uint64_t> levels_of(std::uint64_t cgroup_id) const = 0;

  virtual std::vector<int> event_fds() const = 0;  // may grow: ask again after arm
  // Calls `handle` for every waiting event, at most `max`. `Event::cgroup_id` says whose it is.
  virtual Result<std::size_t> consume_events(std::size_t max, const std::function<void(const Event&)>& handle) = 0;

  // Compares what the kernel holds with what was armed, and repairs what it can. At most `budget` cgroups a call, in
  // turn.
  virtual std::vector<Damage> verify(std::size_t budget) = 0;
  // As verify(), in a turn of its own: only what each cgroup is held by.
  virtual std::vector<Damage> verify_policies(std::size_t budget) = 0;
  // Everything at once, where verify() takes turns: for a person who asks. `repair` rebuilds what differs.
  virtual Result<DriftReport> find_drift([[maybe_unused]] bool repair) {
    return fail(ErrorKind::kUnsupported, "this backend is compared in turns only");
  }
  // Of tables alone, and cheaply: rules, chains and sets that are not as they were left, a sentence each.
  virtual std::vector<std::string> find_table_changes() { return {}; }
  // By one question to the kernel: whether something of ours seems to be gone since verify() last ended a turn. BPF:
  // true only if the call before saw it too (a cgroup that ends loses its programs a moment before or after it is
  // forgotten). nullopt: this kernel does not tell.
  virtual std::optional<bool> seems_detached() = 0;
  // The next verify() begins with a new turn, of that many cgroups.
  virtual std::size_t begin_turn() = 0;
  // What may wait for the kernel, in a thread of its own, or when nothing else waits.
  virtual Result<void> keep_house() = 0;
};

}  // namespace namewall
