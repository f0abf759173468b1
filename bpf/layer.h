// One set of programs and maps, and the workloads that it holds: Enforcer is one layer without pins, HostEnforcer some
// with. Not safe for several threads, but for keep_house's middle step.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "bpf/asker_book.h"
#include "bpf/asker_tokens.h"
#include "bpf/attachment.h"
#include "bpf/boot_ids.h"
#include "bpf/cgroup_handle.h"
#include "bpf/child_rows.h"
#include "bpf/event_ring.h"
#include "bpf/grant_records.h"
#include "bpf/kernel_objects.h"
#include "bpf/lesson_runner.h"
#include "bpf/proxy_places.h"
#include "bpf/rule_store.h"
#include "bpf/table_slots.h"
#include "policy/backend.h"
#include "policy/lesson.h"

namespace namewall::bpf {

struct ArmTarget {
  int cgroup_fd = -1;
  CgroupIdentity cgroup;
  SharedImage image;
  std::vector<std::uint64_t> trusted_netns;
  bool strict = false;
  bool is_template = false;
};

struct ArmedWorkload {
  nw_workload config{};
  SharedImage image;  // nullptr: adopted, not recognised
};

class Layer {
 public:
  // Without pins.
  static Result<std::unique_ptr<Layer>> load(const MapSizes& sizes, AskerTokens tokens);
  // In `folder` of the pins, made where it is missing; `pins` must outlive the layer. Adopts what it finds.
  static Result<std::unique_ptr<Layer>> open(const MapSizes& sizes, const PinDirectory& pins, std::string folder,
                                             std::uint32_t spare_tables, AskerTokens tokens);

  // One result for each. Each cgroup all or nothing.
  std::vector<Result<nw_workload>> arm(const std::vector<ArmTarget>& targets);
  // Policies of their own for direct children of this layer's templates. What a child has learned stays.
  std::vector<Result<nw_workload>> arm_children(const std::vector<ArmTarget>& targets);
  Result<nw_workload> replace(std::uint64_t cgroup_id, const SharedImage& image, bool strict);
  Result<void> set_strict(std::uint64_t cgroup_id, bool strict);
  Result<void> deny_all(std::uint64_t cgroup_id);
  Result<void> recognise(std::uint64_t cgroup_id, const SharedImage& image);
  // A child falls back to its template's policy.
  Result<void> disarm(int cgroup_fd, std::uint64_t cgroup_id);
  // The cgroup is gone, or a child's row is no longer wanted. Its slot is free once no socket of it is left.
  void forget(std::uint64_t cgroup_id);

  const std::unordered_map<std::uint64_t, ArmedWorkload>& armed() const { return armed_; }
  const ArmedWorkload* find(std::uint64_t cgroup_id) const;
  // Also of children that the kernel met.
  std::optional<nw_workload> find_config(std::uint64_t cgroup_id) const;
  const ChildRows& children() const { return children_; }

  Result<void> set_own_addresses(const std::vector<Address>& addresses);
  Result<std::vector<GrantRecord>> read_grants(std::uint64_t cgroup_id) const;
  Result<Counters> read_counters(std::uint64_t cgroup_id) const;
  Result<std::uint32_t> reap(std::uint64_t cgroup_id, std::chrono::seconds expired_for) const;
  Result<std::size_t> add_grants(std::uint64_t cgroup_id, const std::vector<Grant>& grants) const;
  // As GrantSink::teach_all (agent/proxy/grant_sink.h).
  void teach(std::span<LessonOrder> orders) const;
  std::uint32_t count_live_grants() const;
  const KernelObjects& objects() const { return objects_; }
  EventRing& events() { return *ring_; }

  // ---- the DNS proxy ----
  const ProxyPlaces& proxy_places() const { return *proxy_places_; }
  // Whose tables are in the slot: an armed workload, or a child that the kernel met.
  std::optional<std::uint64_t> cgroup_of_slot(std::uint32_t slot) const;
  const AskerBook& askers() const { return *askers_; }
  // An armed workload of another layer, whose programs are there; and before they go.
  Result<void> list_deeper(const nw_workload& workload) const;
  void unlist_deeper(std::uint64_t cgroup_id) const;

  // ---- guards (of this layer's maps, whoever armed the cgroups) ----
  Result<void> guard(int cgroup_fd, const CgroupIdentity& cgroup);
  Result<void> unguard(int cgroup_fd, std::uint64_t cgroup_id);
  const std::map<std::uint64_t, std::uint32_t>& guarded() const { return guarded_; }  // cgroup id -> level
  Result<void> list_as_armed(std::uint64_t cgroup_id) const;
  void unlist_as_armed(std::uint64_t cgroup_id) const;

  // ---- what an earlier process or somebody else left ----
  bool has_former_programs() const { return !objects_.former_programs().empty(); }
  // Programs of the hooks of an armed or guarded cgroup.
  Result<Attachment::Restored> restore_programs(int cgroup_fd, std::uint64_t cgroup_id) const;
  // Every armed cgroup has this build's programs.
  Result<void> drop_former_programs();
  std::vector<Damage> inspect(int cgroup_fd, std::uint64_t cgroup_id, const std::string& cgroup);
  std::vector<Damage> inspect_guard(int cgroup_fd, std::uint64_t cgroup_id, const std::string& cgroup);
  // Only what the kernel goes by.
  std::optional<Damage> inspect_policy(std::uint64_t cgroup_id, const std::string& cgroup);
  std::vector<Damage> inspect_pins() const;
  // The pins of the next few tables, in turn.
  std::vector<Damage> inspect_tables();
  const Attachment& attachment() const { return *attachment_; }
  Result<void> pin_everything() const;

  // ---- making ready: begin and end hold the caller's lock, the middle waits for RCU and touches nothing else's ----
  struct House {
    TableSlots::Work tables;
    RuleStore::Removal rules;
    bool is_empty() const { return tables.is_empty() && rules.is_empty(); }
  };
  House begin_keeping_house();
  Result<void> keep_house(House& house) const;
  Result<void> end_keeping_house(House house, const Result<void>& done);

  // Everything that is retired goes now, if its time has come.
  Result<void> remove_retired_rules() { return rules_->remove_retired(); }

 private:
  // Its cgroup is gone; sockets that outlive it are still judged by its storage.
  struct Departed {
    std::uint64_t cgroup_id;
    std::uint32_t slot;
    std::uint32_t policy_id;
  };
  explicit Layer(AskerTokens tokens) : tokens_(tokens) {}
  Result<void> use(KernelObjects objects, std::uint32_t slots);
  Result<void> adopt();
  Result<nw_workload> arm_one(const ArmTarget& target, std::uint32_t slot);
  Result<nw_workload> arm_child(const ArmTarget& target, nw_workload config, bool is_new);
  Result<void> describe(const ArmTarget& target, std::uint32_t former_policy, nw_workload& config);
  Result<void> identify(std::uint32_t slot, nw_workload& config);
  Result<void> write(const nw_workload& config) const;
  Result<void> change(ArmedWorkload& armed, const nw_workload& config);
  Result<void> wait_for_programs(std::uint32_t slot) const;
  std::uint32_t missing_offers() const;
  Result<void> offer_tables();
  void note_taken_offers();
  void clear_departed();
  void add_to(LessonRunner& runner, LessonOrder& order) const;

  const PinDirectory* pins_ = nullptr;
  std::string folder_;
  std::uint32_t spare_tables_ = 0;
  AskerTokens tokens_;
  KernelObjects objects_;
  std::optional<Attachment> attachment_;
  std::optional<BootIds> ids_;
  std::optional<RuleStore> rules_;
  std::optional<TableSlots> slots_;
  std::optional<EventRing> ring_;
  ChildRows children_{-1, -1};
  std::unordered_map<std::uint64_t, ArmedWorkload> armed_;
  std::vector<Departed> departed_;
  std::map<std::uint64_t, std::uint32_t> guarded_;
  std::uint32_t child_addresses_ = 0;  // bound of children that appear; 0: no template
  std::vector<Address> own_addresses_;
  std::optional<ProxyPlaces> proxy_places_;
  std::optional<AskerBook> askers_;
  mutable std::unordered_map<std::uint32_t, std::uint64_t> cgroups_of_slots_;  // as last seen: may be over
};

}  // namespace namewall::bpf
