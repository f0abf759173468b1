// What a HostEnforcer holds: the model of every workload, and the tables. Internal to the host_*.cpp files.
//
// Every change is made in the kernel first and in the model after it; a table that refuses a change is rebuilt from the
// model, once, and the change tried again.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "nft/host_enforcer.h"
#include "nft/namespace_table.h"
#include "nft/workload_model.h"

namespace namewall::nft {

BootTime boot_now();
Element place_element(const ProxyPlace& place);

// The bound of an adopted workload's grants until its policy is known: those that it has may be more than any policy's.
inline constexpr std::uint32_t kAdoptedAddresses = 1u << 20;

struct HostEnforcer::State {
  State(const HostOptions& host_options, std::string mount, NftAbilities kernel_abilities)
      : options(host_options), cgroup_mount(std::move(mount)), abilities(kernel_abilities) {}

  // ---- the model: host_state.cpp ----
  WorkloadModel* find(std::uint64_t cgroup_id);
  // Those that hold at a path beside its own, the innermost first; no templates.
  std::vector<WorkloadModel*> above(std::string_view cgroup);
  std::vector<WorkloadModel*> below(std::string_view cgroup);
  WorkloadModel* template_of(std::string_view cgroup);  // on its parent
  std::vector<WorkloadModel*> children_of(const WorkloadModel& of_template);
  Result<std::shared_ptr<const ImageElements>> elements_of(const PolicyImage& image, std::uint64_t image_hash);
  Result<AskerToken> free_token();
  // The elements that the workload's own state asks for, with the pair of its loopback.
  std::vector<Element> wanted_fixed(const WorkloadModel& workload);
  Element guard_element(std::uint64_t cgroup_id, const std::string& path) const;
  WorkloadModel& enter(std::unique_ptr<WorkloadModel> workload);
  void erase(std::uint64_t cgroup_id);

  // ---- the tables: host_tables.cpp ----
  NamespaceTable& own() { return *tables.front(); }
  NamespaceTable* table_of(std::uint64_t cookie);
  bool is_member(const NamespaceTable& table, const WorkloadModel& workload) const;
  RulesetPlan plan_for(const NamespaceTable& table) const;
  std::vector<Element> place_elements(const NamespaceTable& table) const;
  std::vector<Element> all_fixed(const NamespaceTable& table) const;
  // In every table, as far as it has the workloads. All or nothing in the own namespace; another one that refuses is
  // rebuilt at the next verify().
  Result<void> apply(ElementChanges& changes);
  Result<void> apply_to(NamespaceTable& table, ElementChanges& changes);
  ElementChanges part_for(const NamespaceTable& table, const ElementChanges& changes);
  // Brings a table that was changed by somebody back to the model.
  Result<void> restore(NamespaceTable& table, const std::string& why);
  Result<void> rebuild(NamespaceTable& table);
  Result<void> take_rules(NamespaceTable& table);  // the model's, in the place of those that are there
  Result<void> ensure_made(NamespaceTable& table);
  Result<void> send_learned(NamespaceTable& table);
  // ---- host_verify.cpp ----
  Result<DriftReport> compare(NamespaceTable& table, bool repair);
  void notice_sleep();
  void inspect(NamespaceTable& table);  // with repair; into `noticed`

  // ---- changes: host_arming.cpp ----
  std::vector<Result<ArmedCgroup>> arm(const std::vector<ArmRequest>& requests);
  Result<std::unique_ptr<WorkloadModel>> model_of(std::uint64_t cgroup_id, const ArmRequest& request,
                                                  std::size_t waiting);  // models that are not entered yet
  Result<void> install(std::vector<std::unique_ptr<WorkloadModel>> made);
  // Brings the kernel to these workloads' state: one transaction. What `changed` have learned is judged anew.
  Result<void> update(const std::vector<WorkloadModel*>& changed, const std::vector<WorkloadModel*>& touched = {});
  Result<void> take_image(WorkloadModel& workload, const std::shared_ptr<const PolicyImage>& image, bool strict);
  Result<void> recognise(WorkloadModel& workload, const std::shared_ptr<const PolicyImage>& image);
  Result<void> lift(const std::vector<WorkloadModel*>& workloads);
  void meet_children();
  // What the kernel's rules entered for it.
  void forget_flows(const WorkloadModel& workload, const std::function<bool(SetId, const EndpointKey&)>& is_over);
  std::vector<WorkloadModel*> nested_in(const std::vector<WorkloadModel*>& changed);  // and not among them
  void redirect_old_questions(const std::vector<WorkloadModel*>& changed);

  // ---- namespaces: host_namespaces.cpp ----
  std::vector<WorkloadModel*> levels(std::uint64_t cgroup_id);  // itself first; none of a template
  void forget_old_questions(NamespaceTable& table, const std::vector<ResolverAddress>& resolvers);
  Result<void> join(std::uint64_t cookie, const std::vector<std::uint64_t>& cgroup_ids);

  // ---- learning: host_learning.cpp ----
  void settle(WorkloadModel& workload, const Address& address, PartChanges changes);
  void renew_due(BootTime now);

  // ---- opening: host_opening.cpp ----
  Result<void> adopt();
  Result<void> open_log(NamespaceTable& table);

  // ---- events: host_events.cpp ----
  void note(const LoggedPacket& packet, const NamespaceTable& table, std::vector<Event>& events);
  void read_refused();

  HostOptions options;
  std::string cgroup_mount;
  NftAbilities abilities;
  std::vector<std::unique_ptr<NamespaceTable>> tables;  // the own one first
  std::unordered_map<std::uint64_t, std::unique_ptr<WorkloadModel>> workloads;
  std::map<std::string, std::uint64_t, std::less<>> by_path;  // cgroup ids, templates among them
  std::unordered_map<AskerToken, std::uint64_t> tokens;
  std::map<std::uint64_t, std::string> guards;    // paths
  std::set<std::uint32_t> depths, parent_depths;  // ever in use: they only grow
  std::vector<ProxyPlace> places;
  std::map<std::uint64_t, std::weak_ptr<const ImageElements>> images;  // by image hash
  std::multimap<BootTime, std::pair<std::uint64_t, Address>> due;      // renewals that wait
  std::uint32_t next_workload_id = 1;
  AskerToken last_token = 0;
  AdoptionReport adoption;
  std::vector<Damage> noticed;  // for the next verify()
  bool inspects_anyway = false;
  std::optional<Nanoseconds> slept;  // this machine since its start, as of the last look
  std::chrono::steady_clock::time_point refused_read{};
  mutable std::mutex mutex;  // of everything here
};

}  // namespace namewall::nft
