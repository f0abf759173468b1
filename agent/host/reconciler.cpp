#include "agent/host/reconciler.h"

#include <algorithm>
#include <set>
#include <utility>

#include "agent/host/cgroup_scan.h"
#include "agent/host/host_clock.h"
#include "agent/host/opened_cgroup.h"
#include "agent/host/proof_probe.h"
#include "policy/cgroup_pattern.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

using Kind = KernelChange::Kind;

constexpr char kUnseen[] =
    "not every cgroup is watched, since the host's bound of inotify watches (fs.inotify.max_user_watches) or of "
    "cgroups "
    "is reached: new ones are looked for every 10 s only";
constexpr std::size_t kMaxErrors = 100;  // of cgroups that appeared since the last reconciliation

std::vector<CgroupPattern> patterns_of(const std::vector<PlannedPolicy>& policies) {
  std::vector<CgroupPattern> patterns;
  for (const PlannedPolicy& policy : policies) {
    patterns.insert(patterns.end(), policy.cgroups.begin(), policy.cgroups.end());
  }
  return patterns;
}

std::string misfit_sentence(const WantedWorkload& wanted) {
  const bool is_template = wanted.held_by == HeldBy::kTemplate;
  const std::string path = escape_for_display(wanted.cgroup);
  return "its policy names " + path + (is_template ? "/*" : "") + " now, and in force is still what named " + path +
         (is_template ? "" : "/*") +
         ": one cannot take the other's place without a gap; `namewall teardown`, then `namewall reload`, swap them";
}

// A template that was lifted let its children go.
bool is_lifted(const LiftedPlaces& lifted, const WantedWorkload& place, const PolicyVersion& version) {
  if (lifted.contains(place.cgroup, version)) return true;
  return place.held_by == HeldBy::kTemplateRow && lifted.contains(std::string(parent_cgroup(place.cgroup)), version);
}

std::set<std::uint64_t> guarded_ids(const HostBackend& enforcer) {
  std::set<std::uint64_t> ids;
  for (const auto& [id, path] : enforcer.guarded()) ids.insert(id);
  return ids;
}

}  // namespace

bool Reconciler::is_probe(const ExistingCgroup& cgroup) {
  return probes_.is_probe(cgroup, parts_.registry, boot_now());
}

std::vector<DesiredWorkload> Reconciler::desired() {
  std::vector<DesiredWorkload> desired;
  for (WantedWorkload& place : plan_workloads(planned_, parts_.cgroups.existing())) {
    if (is_probe({place.cgroup, place.cgroup_id})) continue;
    const Workload* known = parts_.registry.find_by_id(place.cgroup_id);
    const bool is_taken = known != nullptr && is_by_call(known->origin);
    if (is_taken && place.held_by != HeldBy::kGuard) continue;
    auto version = parts_.folder.find(place.policy);
    if (version && !is_lifted(parts_.lifted, place, *version)) {
      desired.push_back({std::move(place), parts_.hold(version), false});
    }
  }
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    if (!is_by_call(workload.origin)) return;
    HeldPolicyPtr policy = workload.policy;
    if (!workload.policy_reference.empty()) {
      if (auto version = parts_.folder.find(workload.policy_reference)) policy = parts_.hold(version);
    }
    const WantedWorkload place{workload.name, workload.cgroup, workload.cgroup_id, policy->name(), workload.held_by};
    desired.push_back({place, std::move(policy), workload.is_over});
  });
  std::stable_sort(desired.begin(), desired.end(), [](const DesiredWorkload& a, const DesiredWorkload& b) {
    return a.place.cgroup < b.place.cgroup;  // a parent's path is a prefix of its children's
  });
  return desired;
}

CgroupPaths Reconciler::existing(const std::vector<ArmedCgroup>& armed) {
  CgroupPaths paths;
  for (const ExistingCgroup& cgroup : parts_.cgroups.existing()) paths[cgroup.id] = cgroup.path;
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    if (workload.cgroup.empty() || paths.contains(workload.cgroup_id)) return;
    if (!is_cgroup_gone(parts_.cgroups.directory_of(workload.cgroup), workload.cgroup_id)) {
      paths[workload.cgroup_id] = workload.cgroup;
    }
  });
  for (const auto& [id, path] : parts_.enforcer.guarded()) {
    if (!paths.contains(id) && !is_cgroup_gone(parts_.cgroups.directory_of(path), id)) paths[id] = path;
  }
  const bool all_found = std::all_of(armed.begin(), armed.end(), [&](const ArmedCgroup& cgroup) {
    return paths.contains(cgroup.cgroup_id) || parts_.registry.find_by_id(cgroup.cgroup_id) != nullptr;
  });
  if (all_found) return paths;
  // Armed by somebody else, or before this process: only the whole tree tells whether such a cgroup is still there.
  const auto all = scan_cgroups(parts_.cgroups.directory_of("/"), "/");
  for (const ArmedCgroup& cgroup : armed) {
    if (paths.contains(cgroup.cgroup_id)) continue;
    if (!all) {
      paths[cgroup.cgroup_id] = cgroup.cgroup;  // nothing is forgotten on a guess
      continue;
    }
    const auto found = std::find_if(all->begin(), all->end(),
                                    [&](const ExistingCgroup& there) { return there.id == cgroup.cgroup_id; });
    if (found != all->end()) paths[found->id] = found->path;
  }
  return paths;
}

Workload Reconciler::describe(const KernelChange& change) const {
  const Workload* before = parts_.registry.find_by_id(change.place.cgroup_id);
  Workload workload;
  if (before != nullptr && is_by_call(before->origin)) {
    workload = *before;
  } else {
    if (before != nullptr) workload.proof = before->proof;
    workload.origin = WorkloadOrigin::kFile;
  }
  workload.name = change.place.name;
  workload.cgroup = change.place.cgroup;
  workload.cgroup_id = change.place.cgroup_id;
  workload.held_by = change.place.held_by;
  workload.policy = change.policy;
  return workload;
}

void Reconciler::fail_workload(const KernelChange& change, const Error& error, Outcome& outcome) {
  Workload* known = parts_.registry.find_by_id(change.place.cgroup_id);
  if (known == nullptr && error.kind == ErrorKind::kNotFound) return;  // gone meanwhile: nothing is left to be held
  outcome.errors.push_back(change.place.name + " at " + escape_for_display(change.place.cgroup) + ": " +
                           error.message());
  if (known == nullptr) {
    Workload workload = describe(change);
    workload.failure = error.message();
    parts_.registry.add(std::move(workload));
  } else if (std::exchange(known->failure, error.message()) == error.message()) {
    return;  // it is known already
  }
  parts_.diary.notice(Priority::kError, change.place.name, "not_held", error.message());
}

void Reconciler::guard(const WantedWorkload& place, Outcome& outcome) {
  const auto opened = open_cgroup(parts_.cgroups, place.cgroup, place.cgroup_id);
  const auto version = parts_.folder.find(place.policy);
  const Backend backend = version ? version->image->backend : Backend::kBpf;
  const Result<void> done = opened ? parts_.enforcer.guard_by(backend, opened->fd.get(), place.cgroup_id)
                                   : Result<void>(tl::unexpected(opened.error()));
  if (!done) outcome.errors.push_back("the guard of " + place.name + ": " + done.error().message());
}

void Reconciler::meet(const KernelChange& change) {
  if (is_probe({change.place.cgroup, change.place.cgroup_id})) return;
  const auto facts = parts_.enforcer.find(change.place.cgroup_id);
  if (Workload* known = parts_.registry.find_by_id(change.place.cgroup_id);
      known != nullptr && known->is_template_child) {
    known->policy = change.policy;
    if (facts) known->generation = facts->generation;
    return;
  }
  Workload workload = describe(change);
  workload.is_template_child = true;
  workload.is_armed = true;
  workload.unarmed_ms = 0;
  workload.armed_at = rfc3339_milliseconds(utc_now());
  if (facts) {
    workload.backend = facts->backend;
    workload.workload_id = facts->workload_id;
    workload.generation = facts->generation;
  }
  parts_.registry.add(std::move(workload));
}

void Reconciler::adopt(const KernelChange& change) {
  if (is_probe({change.place.cgroup, change.place.cgroup_id})) return;
  if (Workload* known = parts_.registry.find_by_id(change.place.cgroup_id)) {
    if (!is_by_call(known->origin)) known->origin = WorkloadOrigin::kAdopted;
    return;
  }
  Workload workload;
  workload.cgroup = change.place.cgroup;
  workload.cgroup_id = change.place.cgroup_id;
  workload.name = "adopted:" + (workload.cgroup.empty() ? std::to_string(workload.cgroup_id) : workload.cgroup);
  workload.held_by = change.place.held_by;
  workload.origin = WorkloadOrigin::kAdopted;
  workload.is_armed = true;
  if (const auto facts = parts_.enforcer.find(workload.cgroup_id)) {
    workload.backend = facts->backend;
    workload.workload_id = facts->workload_id;
    workload.generation = facts->generation;
    workload.is_judging = facts->is_strict;
  }
  parts_.registry.add(std::move(workload));
}

void Reconciler::arm(const std::vector<KernelChange>& changes, Outcome& outcome, std::optional<BootTime> since) {
  std::vector<Workload> workloads;
  for (const KernelChange& change : changes) workloads.push_back(describe(change));
  const auto results = arming_.arm(std::move(workloads), since);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i]) {
      fail_workload(changes[i], results[i].error(), outcome);
      continue;
    }
    ++outcome.armed;
    Workload* armed = parts_.registry.find_by_id(changes[i].place.cgroup_id);
    if (armed != nullptr && armed->is_over) (void)arming_.end(*armed);
  }
}

void Reconciler::apply_one(const KernelChange& change, Outcome& outcome) {
  switch (change.kind) {
    case Kind::kForget:
      if (change.place.held_by == HeldBy::kGuard) {
        parts_.enforcer.forget(change.place.cgroup_id);
      } else {
        arming_.forget(change.place.cgroup_id);
        ++outcome.let_go;
      }
      return;
    case Kind::kGuard:
      return guard(change.place, outcome);
    case Kind::kUnguard: {
      const auto& files = parts_.folder.files;
      // A file that nobody can read may be the one that wants it.
      if (std::any_of(files.begin(), files.end(), [](const auto& file) { return file.state == FileState::kBroken; })) {
        return;
      }
      const auto path = existing({})[change.place.cgroup_id];
      const auto opened = open_cgroup(parts_.cgroups, path, change.place.cgroup_id);
      const auto done = opened ? parts_.enforcer.unguard(opened->fd.get(), change.place.cgroup_id)
                               : Result<void>(tl::unexpected(opened.error()));
      if (!done) outcome.errors.push_back("the guard at " + path + " stays: " + done.error().message());
      return;
    }
    case Kind::kRecognise:
    case Kind::kReplace: {
      const bool is_replacement = change.kind == Kind::kReplace;
      const Result<void> done =
          is_replacement ? arming_.replace(describe(change)) : arming_.recognise(describe(change));
      if (!done) return fail_workload(change, done.error(), outcome);
      ++(is_replacement ? outcome.replaced : outcome.unchanged);
      return;
    }
    case Kind::kMisfit:
      return fail_workload(change, {ErrorKind::kConflict, 0, misfit_sentence(change.place)}, outcome);
    case Kind::kKeep:
      if (Workload* known = parts_.registry.find_by_id(change.place.cgroup_id)) {
        known->policy = change.policy;
        known->failure.clear();
      }
      ++outcome.unchanged;
      return;
    case Kind::kMeetChild:
      return meet(change);
    case Kind::kAdopt:
      ++outcome.adopted;
      return adopt(change);
    case Kind::kArm:
      return;  // in batches: arm()
  }
}

void Reconciler::apply(const std::vector<KernelChange>& changes, Outcome& outcome) {
  // Rows need their template first.
  std::vector<KernelChange> programs, rows;
  std::size_t at = 0;
  for (; at < changes.size() && changes[at].kind < Kind::kArm; ++at) apply_one(changes[at], outcome);
  for (; at < changes.size() && changes[at].kind == Kind::kArm; ++at) {
    (changes[at].place.held_by == HeldBy::kTemplateRow ? rows : programs).push_back(changes[at]);
  }
  arm(programs, outcome, std::nullopt);
  arm(rows, outcome, std::nullopt);
  for (; at < changes.size(); ++at) apply_one(changes[at], outcome);
}

Reconciler::Outcome Reconciler::reconcile() {
  Outcome outcome;
  planned_ = parts_.folder.planned();
  note_unseen(parts_.cgroups.watch(patterns_of(planned_)).is_incomplete);
  if (has_unseen_) outcome.errors.push_back(kUnseen);
  const auto armed = parts_.enforcer.armed();
  if (!armed) {
    outcome.errors.push_back(armed.error().message());
    return outcome;
  }
  apply(plan_changes(desired(), *armed, existing(*armed), guarded_ids(parts_.enforcer)), outcome);
  parts_.shelf.sweep();
  parts_.errors = outcome.errors;
  return outcome;
}

void Reconciler::note_unseen(bool is_incomplete) {
  if (is_incomplete && !has_unseen_) parts_.diary.notice(Priority::kError, "", "cgroups_not_watched", kUnseen);
  has_unseen_ = is_incomplete;
}

void Reconciler::follow(const CgroupChanges& changes, BootTime since) {
  if (changes.was_rescanned || changes.is_incomplete) {
    (void)reconcile();
    return;
  }
  for (const ExistingCgroup& gone : changes.vanished) {
    if (parts_.lifted.note_gone(gone.path, parts_.folder)) parts_.is_folder_unsaved = true;
    probes_.forget(gone.id);
    arming_.forget(gone.id);
  }
  std::vector<ExistingCgroup> appeared = changes.appeared;
  std::erase_if(appeared, [&](const ExistingCgroup& cgroup) { return is_probe(cgroup); });
  arm_appeared(appeared, since);
}

void Reconciler::arm_appeared(const std::vector<ExistingCgroup>& appeared, BootTime since) {
  Outcome outcome;
  std::vector<KernelChange> programs, rows;
  for (const ExistingCgroup& cgroup : appeared) {
    if (parts_.registry.find_by_id(cgroup.id) != nullptr) continue;
    for (WantedWorkload& place : plan_cgroup(planned_, cgroup)) {
      auto version = parts_.folder.find(place.policy);
      if (!version || is_lifted(parts_.lifted, place, *version)) continue;
      if (place.held_by == HeldBy::kGuard) {
        guard(place, outcome);
        continue;
      }
      KernelChange change{Kind::kArm, std::move(place), parts_.hold(version)};
      (change.place.held_by == HeldBy::kTemplateRow ? rows : programs).push_back(std::move(change));
    }
  }
  arm(programs, outcome, since);
  arm(rows, outcome, since);
  for (std::string& error : outcome.errors) {
    if (parts_.errors.size() < kMaxErrors) parts_.errors.push_back(std::move(error));
  }
}

void Reconciler::look_again() {
  meet_children();
  std::vector<ExistingCgroup> overdue = probes_.take_overdue(boot_now());
  std::erase_if(overdue, [&](const ExistingCgroup& cgroup) {
    return is_cgroup_gone(parts_.cgroups.directory_of(cgroup.path), cgroup.id);
  });
  arm_appeared(overdue, boot_now());
  bool is_open = has_unseen_;
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    is_open = is_open || (!workload.is_armed && !workload.failure.empty());
  });
  if (is_open) (void)reconcile();
}

void Reconciler::meet_children() {
  const auto armed = parts_.enforcer.armed();
  if (!armed) return;
  std::vector<ArmedCgroup> children;
  std::set<std::uint64_t> templates;
  for (const ArmedCgroup& cgroup : *armed) {
    if (!cgroup.is_child || cgroup.has_own_policy) continue;
    if (parts_.registry.find_by_id(cgroup.cgroup_id) != nullptr) continue;
    children.push_back(cgroup);
    templates.insert(cgroup.template_id);
  }
  if (children.empty()) return;
  std::vector<DesiredWorkload> parents;
  for (const std::uint64_t id : templates) {
    const Workload* parent = parts_.registry.find_by_id(id);
    if (parent == nullptr || !parent->policy) continue;
    parents.push_back(
        {{parent->name, parent->cgroup, id, parent->policy->name(), HeldBy::kTemplate}, parent->policy, false});
  }
  for (const KernelChange& change : plan_changes(parents, children, existing(children), {})) {
    if (change.kind == Kind::kMeetChild) meet(change);
  }
}

}  // namespace namewall::agent
