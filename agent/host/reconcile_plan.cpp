#include "agent/host/reconcile_plan.h"

#include <algorithm>
#include <string_view>

namespace namewall::agent {
namespace {

using Kind = KernelChange::Kind;

std::string_view word_of(Kind kind) {
  switch (kind) {
    case Kind::kForget:
      return "forget";
    case Kind::kGuard:
      return "guard";
    case Kind::kUnguard:
      return "unguard";
    case Kind::kArm:
      return "arm";
    case Kind::kRecognise:
      return "recognise";
    case Kind::kReplace:
      return "replace";
    case Kind::kMisfit:
      return "misfit";
    case Kind::kKeep:
      return "keep";
    case Kind::kMeetChild:
      return "meet";
    case Kind::kAdopt:
      return "adopt";
  }
  return "keep";
}

// A row that the kernel wrote for a child that nobody had armed: it holds its template's policy.
bool is_unnamed_child(const ArmedCgroup& armed) { return armed.is_child && !armed.has_own_policy; }

Kind change_for(const DesiredWorkload& desired, const ArmedCgroup* armed) {
  if (armed == nullptr || (desired.place.held_by == HeldBy::kTemplateRow && is_unnamed_child(*armed))) {
    return Kind::kArm;
  }
  if (armed->is_template != (desired.place.held_by == HeldBy::kTemplate)) return Kind::kMisfit;
  if (desired.is_over) return Kind::kKeep;
  if (armed->image_hash != desired.policy->image_hash) return Kind::kReplace;
  return armed->is_known ? Kind::kKeep : Kind::kRecognise;
}

std::string path_of(const CgroupPaths& existing, const ArmedCgroup& armed) {
  const auto found = existing.find(armed.cgroup_id);
  return found == existing.end() ? armed.cgroup : found->second;
}

// As workload_plan.h names what a glob matches.
std::string child_name(const WantedWorkload& parent, const std::string& path) {
  if (parent.name.find("::") != std::string::npos || !is_below_cgroup(path, parent.cgroup)) {
    return parent.policy + ":" + path;
  }
  return parent.policy + ":" + path.substr(parent.cgroup == "/" ? 1 : parent.cgroup.size() + 1);
}

}  // namespace

std::string to_string(const KernelChange& change) {
  std::string text(word_of(change.kind));
  if (!change.place.name.empty()) text += " " + change.place.name;
  if (!change.place.cgroup.empty()) return text + " at " + change.place.cgroup;
  return text + " cgroup " + std::to_string(change.place.cgroup_id);
}

std::vector<KernelChange> plan_changes(const std::vector<DesiredWorkload>& desired,
                                       const std::vector<ArmedCgroup>& armed, const CgroupPaths& existing,
                                       const std::set<std::uint64_t>& guarded) {
  std::unordered_map<std::uint64_t, const ArmedCgroup*> armed_by_id;
  for (const ArmedCgroup& cgroup : armed) armed_by_id[cgroup.cgroup_id] = &cgroup;
  std::unordered_map<std::uint64_t, const DesiredWorkload*> desired_by_id;
  std::set<std::uint64_t> wanted_guards;
  std::vector<KernelChange> changes;

  for (const DesiredWorkload& workload : desired) {
    const std::uint64_t id = workload.place.cgroup_id;
    if (workload.place.held_by == HeldBy::kGuard) {
      wanted_guards.insert(id);
      if (!guarded.contains(id)) changes.push_back({Kind::kGuard, workload.place, workload.policy});
      continue;
    }
    desired_by_id[id] = &workload;
    const auto found = armed_by_id.find(id);
    changes.push_back(
        {change_for(workload, found == armed_by_id.end() ? nullptr : found->second), workload.place, workload.policy});
  }
  for (const std::uint64_t id : guarded) {
    if (wanted_guards.contains(id)) continue;
    KernelChange change{existing.contains(id) ? Kind::kUnguard : Kind::kForget, {}, nullptr};
    change.place.cgroup_id = id;
    change.place.held_by = HeldBy::kGuard;
    changes.push_back(std::move(change));
  }
  for (const ArmedCgroup& cgroup : armed) {
    if (desired_by_id.contains(cgroup.cgroup_id)) continue;
    KernelChange change{Kind::kAdopt, {}, nullptr};
    change.place.cgroup_id = cgroup.cgroup_id;
    if (!existing.contains(cgroup.cgroup_id)) {
      change.kind = Kind::kForget;
    } else {
      change.place.cgroup = path_of(existing, cgroup);
      change.place.held_by = cgroup.is_template ? HeldBy::kTemplate
                             : cgroup.is_child  ? HeldBy::kTemplateRow
                                                : HeldBy::kOwnPrograms;
      const auto of_template = desired_by_id.find(cgroup.template_id);
      if (is_unnamed_child(cgroup) && of_template != desired_by_id.end()) {
        const WantedWorkload& parent = of_template->second->place;
        change.kind = Kind::kMeetChild;
        change.place.name = child_name(parent, change.place.cgroup);
        change.place.policy = parent.policy;
        change.policy = of_template->second->policy;
      }
    }
    changes.push_back(std::move(change));
  }
  std::stable_sort(changes.begin(), changes.end(),
                   [](const KernelChange& a, const KernelChange& b) { return a.kind < b.kind; });
  return changes;
}

}  // namespace namewall::agent
