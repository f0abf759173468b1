#include "agent/host/host_service.h"

#include <utility>

#include "agent/host/host_clock.h"
#include "agent/host/live_explanation.h"
#include "agent/host/metrics_text.h"
#include "agent/host/workload_state.h"
#include "policy/escape.h"

namespace namewall::agent {

Result<const Workload*> HostService::find(const std::string& name) {
  const Workload* workload = parts_.host.registry.find(name);
  if (workload == nullptr) {
    parts_.meet_children();
    workload = parts_.host.registry.find(name);
  }
  if (workload == nullptr) return fail(ErrorKind::kNotFound, "no workload is called " + quote_for_display(name));
  return workload;
}

const Workload* HostService::find_own(const Peer& peer) {
  WorkloadRegistry& registry = parts_.host.registry;
  const Workload* exact = registry.find_by_id(peer.cgroup_id);
  if (exact != nullptr && exact->held_by == HeldBy::kTemplate) exact = nullptr;
  if (exact != nullptr && exact->is_armed) return exact;
  // One that could not be armed may lie in one that is.
  const Workload* holding = registry.find_holding(peer.cgroup);
  if (holding == nullptr) return exact;
  if (holding->held_by != HeldBy::kTemplate) return holding;
  parts_.meet_children();  // the child that the peer is in, if the kernel has met it
  return registry.find_holding(peer.cgroup);
}

StatusView HostService::status() { return parts_.status.status(boot_now()); }

std::vector<WorkloadView> HostService::list() {
  parts_.meet_children();
  return parts_.views.list(boot_now());
}

Result<WorkloadDetail> HostService::show(const std::string& workload) {
  const auto found = find(workload);
  if (!found) return tl::unexpected(found.error());
  return parts_.views.detail(**found, boot_now());
}

Result<std::vector<GrantView>> HostService::grants(const std::string& workload) {
  const auto found = find(workload);
  if (!found) return tl::unexpected(found.error());
  return parts_.views.grants(**found, boot_now());
}

Result<WorkloadSets> HostService::sets(const std::string& workload) {
  const auto found = find(workload);
  if (!found) return tl::unexpected(found.error());
  const BootTime now = boot_now();
  const auto records = parts_.host.enforcer.read_grants((*found)->cgroup_id);
  WorkloadSets sets = sets_.build(**found, records ? *records : std::vector<GrantRecord>(), now);
  sets.workload.is_unreadable = !records;
  return sets;
}

std::vector<std::string> HostService::armed_workloads() {
  parts_.meet_children();
  std::vector<std::string> names;
  std::as_const(parts_.host.registry).each([&](const Workload& workload) {
    if (workload.is_armed) names.push_back(workload.name);
  });
  return names;
}

std::string HostService::metrics() { return metrics_text(parts_.status.metrics(boot_now())); }

SelfView HostService::self(const Peer& peer) {
  SelfView view;
  const Workload* workload = find_own(peer);
  if (workload == nullptr) return view;
  view.confined = workload->is_armed;
  view.workload = workload->name;
  view.state = state_of(*workload);
  view.generation = workload->generation;
  if (workload->policy) view.policy_text = workload->policy->version->canonical_text;
  for (const KeptEventPtr& kept : parts_.host.hub.refusals_of(workload->name)) view.refusals.push_back(view_of(*kept));
  return view;
}

Result<ExplainView> HostService::explain(const Peer& peer, const std::string& workload, const std::string& target) {
  const Workload* found = nullptr;
  if (workload.empty()) {
    found = find_own(peer);
    if (found == nullptr) return fail(ErrorKind::kNotFound, "the process that asks is in no workload: name one");
  } else {
    const auto named = find(workload);
    if (!named) return tl::unexpected(named.error());
    found = *named;
  }
  if (target.empty()) {
    const auto refusals = parts_.host.hub.refusals_of(found->name);
    if (refusals.empty()) return fail(ErrorKind::kNotFound, "nothing of " + found->name + " was refused lately");
    return explain_refusal(*refusals.back());
  }
  if (!found->policy) return fail(ErrorKind::kConflict, "nobody knows the policy of " + found->name);
  const auto grants = parts_.host.enforcer.read_grants(found->cgroup_id);
  if (!grants) return tl::unexpected(grants.error());
  return explain_live(found->name, *found->policy, *grants, parts_.host.own_addresses, target, boot_now());
}

Result<ChangeView> HostService::put(const Peer& peer, const std::string& workload, const WorkloadRequest& request) {
  auto changed = parts_.calls.put(peer, workload, request);
  parts_.save_changes();
  return changed;
}

Result<ChangeView> HostService::patch(const Peer& peer, const std::string& workload, const RuleChange& change) {
  auto changed = parts_.calls.patch(peer, workload, change);
  parts_.save_changes();
  return changed;
}

Result<ChangeView> HostService::remove(const Peer& peer, const std::string& workload, const std::string& reason) {
  auto changed = parts_.lifting.remove(peer, workload, reason);
  parts_.save_changes();
  return changed;
}

RestrictOutcome HostService::restrict(const Peer& peer, const RestrictRequest& request) {
  auto outcome = parts_.restriction.restrict(peer, request);
  parts_.save_changes();
  return outcome;
}

ReloadView HostService::reload(const Peer& peer) { return parts_.reload(&peer); }

Result<ProofView> HostService::prove(const std::string& workload) {
  const auto found = find(workload);
  if (!found) return tl::unexpected(found.error());
  return parts_.proofs.prove(**found);
}

Result<RepairView> HostService::repair(const Peer& peer) {
  auto found = parts_.host.enforcer.find_drift(true);
  if (!found) return tl::unexpected(found.error());
  RepairView view{found->unknown, found->missing, std::move(found->table), std::move(found->unrepaired)};
  if (view.unknown + view.missing + view.changed.size() + view.unrepaired.size() == 0) return view;
  ChangeEntry entry;
  entry.action = ChangeAction::kRepair;
  entry.reason = std::to_string(view.unknown) + " elements that nobody knew, " + std::to_string(view.missing) +
                 " missing ones, " + std::to_string(view.changed.size()) + " other changes";
  if (!view.unrepaired.empty()) entry.result = view.unrepaired.front();
  parts_.host.diary.notice(view.unrepaired.empty() ? Priority::kWarning : Priority::kError, "",
                           view.unrepaired.empty() ? "damage_repaired" : "damage", "asked to repair: " + entry.reason);
  parts_.host.diary.record(std::move(entry), &peer);
  return view;
}

Result<ChangeView> HostService::teardown(const Peer& peer, const std::string& workload, const std::string& reason) {
  auto changed = parts_.lifting.teardown(peer, workload, reason);
  parts_.save_changes();
  return changed;
}

std::vector<EventView> HostService::events(const EventFilter& filter, std::size_t limit) {
  return parts_.host.hub.find(filter, limit, utc_now());
}

}  // namespace namewall::agent
