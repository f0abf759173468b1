#include "agent/host/workload_arming.h"

#include <algorithm>
#include <utility>

#include "agent/host/host_clock.h"
#include "agent/host/opened_cgroup.h"
#include "agent/host/relearning.h"
#include "policy/image_change.h"

namespace namewall::agent {
namespace {

double milliseconds(Nanoseconds duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

bool narrows(const HeldPolicyPtr& older, const HeldPolicyPtr& newer) {
  if (!older) return true;
  if (older->image_hash == newer->image_hash) return false;
  const auto changes = changes_between(*older->image(), *newer->image());
  return std::any_of(changes.begin(), changes.end(),
                     [](const AccessChange& change) { return change.kind == AccessChange::Kind::kCloses; });
}

void take_kernel_facts(Workload& workload, const ArmedCgroup& armed) {
  workload.is_armed = true;
  workload.failure.clear();
  workload.backend = armed.backend;
  workload.workload_id = armed.workload_id;
  workload.generation = armed.generation;
  workload.is_judging = armed.is_strict;
  workload.is_template_child = false;
}

// What stays true of a cgroup whose description changes.
void take_history(Workload& workload, const Workload& before) {
  workload.unarmed_ms = before.unarmed_ms;
  workload.armed_at = before.armed_at;
  workload.partial = before.partial;
  workload.netns_holes = before.netns_holes;
}

}  // namespace

void WorkloadArming::tell_will_hold(const Workload& workload) {
  if (follower_ != nullptr && workload.policy) follower_->will_hold(*workload.policy->image());
}

void WorkloadArming::tell_changed(std::uint64_t cgroup_id) {
  if (follower_ != nullptr) follower_->has_changed(cgroup_id);
}

void WorkloadArming::enter(Workload workload, const ArmedCgroup& armed, std::optional<BootTime> since) {
  take_kernel_facts(workload, armed);
  workload.armed_at = rfc3339_milliseconds(utc_now());
  if (workload.held_by == HeldBy::kTemplateRow) {
    workload.unarmed_ms = 0;  // its template held it
  } else if (since) {
    const Nanoseconds unarmed = boot_now() - *since;
    HostFigures& figures = parts_.figures;
    workload.unarmed_ms = milliseconds(unarmed);
    figures.unarmed.observe(unarmed);
    figures.unarmed_ms_last = workload.unarmed_ms;
    figures.unarmed_ms_max = std::max(figures.unarmed_ms_max, workload.unarmed_ms);
  }
  const std::uint64_t id = workload.cgroup_id;
  ++parts_.figures.generation;
  if (is_by_call(workload.origin)) parts_.unsaved.insert(workload.name);
  parts_.registry.add(std::move(workload));
  tell_changed(id);
  if (armed.is_strict) flows_.judge(id);
}

std::vector<Result<void>> WorkloadArming::arm_batch(std::vector<Workload>& workloads, std::optional<BootTime> since) {
  std::vector<Result<void>> results(workloads.size());
  std::vector<OpenedCgroup> opened(workloads.size());
  std::vector<ArmRequest> requests;
  std::vector<std::size_t> places;  // of the requests
  for (std::size_t i = 0; i < workloads.size(); ++i) {
    const Workload& workload = workloads[i];
    const Workload* named = parts_.registry.find(workload.name);
    if (named != nullptr && named->cgroup_id != workload.cgroup_id) {
      results[i] =
          fail(ErrorKind::kConflict, "the name " + workload.name + " belongs to the workload at " + named->cgroup);
      continue;
    }
    auto cgroup = open_cgroup(parts_.cgroups, workload.cgroup, workload.cgroup_id);
    if (!cgroup) {
      results[i] = tl::unexpected(cgroup.error());
      continue;
    }
    opened[i] = std::move(*cgroup);
    tell_will_hold(workload);
    ArmRequest request;
    request.cgroup_fd = opened[i].fd.get();
    request.cgroup = workload.cgroup;
    request.image = workload.policy->image();
    request.options.trusted_netns = {parts_.own_netns};
    request.options.strict = opened[i].is_populated();
    request.options.children = workload.held_by == HeldBy::kTemplate ? Children::kApart : Children::kJoin;
    requests.push_back(std::move(request));
    places.push_back(i);
  }
  const BootTime begin = boot_now();
  const auto armed = parts_.enforcer.arm(requests);
  parts_.figures.kernel_update.observe(boot_now() - begin);
  for (std::size_t request = 0; request < armed.size(); ++request) {
    const std::size_t i = places[request];
    if (!armed[request]) {
      results[i] = tl::unexpected(armed[request].error());
      continue;
    }
    ArmedCgroup facts = *armed[request];
    // A process may have come and made a socket between the look and the arming.
    if (!facts.is_strict && opened[i].is_populated() && parts_.enforcer.set_strict(facts.cgroup_id, true)) {
      facts.is_strict = true;
    }
    if (follower_ != nullptr && opened[i].is_populated()) follower_->has_processes();
    enter(std::move(workloads[i]), facts, since);
  }
  return results;
}

std::vector<Result<void>> WorkloadArming::arm(std::vector<Workload> workloads, std::optional<BootTime> since) {
  std::vector<Result<void>> results;
  for (std::size_t begin = 0; begin < workloads.size(); begin += kBatch) {
    const auto first = workloads.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = workloads.begin() + static_cast<std::ptrdiff_t>(std::min(begin + kBatch, workloads.size()));
    std::vector<Workload> batch(std::make_move_iterator(first), std::make_move_iterator(last));
    for (Result<void>& result : arm_batch(batch, since)) results.push_back(std::move(result));
  }
  return results;
}

Result<void> WorkloadArming::replace(Workload workload) {
  const Workload* before = parts_.registry.find_by_id(workload.cgroup_id);
  const bool narrowed = narrows(before != nullptr ? before->policy : nullptr, workload.policy);
  const bool strict = narrowed || (before != nullptr && before->is_judging);
  tell_will_hold(workload);
  const BootTime begin = boot_now();
  const auto replaced = parts_.enforcer.replace(workload.cgroup_id, workload.policy->image(), strict);
  parts_.figures.kernel_update.observe(boot_now() - begin);
  if (!replaced) return tl::unexpected(replaced.error());
  if (before == nullptr || before->policy == nullptr || before->policy->image()->retain != Retain::kTtl)
    end_what_never_ends(parts_.enforcer, workload.cgroup_id, *workload.policy->image(), boot_now());
  if (before != nullptr) take_history(workload, *before);
  take_kernel_facts(workload, *replaced);
  if (workload.armed_at.empty()) workload.armed_at = rfc3339_milliseconds(utc_now());
  const std::uint64_t id = workload.cgroup_id;
  ++parts_.figures.generation;
  if (is_by_call(workload.origin)) parts_.unsaved.insert(workload.name);
  parts_.registry.add(std::move(workload));
  tell_changed(id);
  if (replaced->is_strict) flows_.judge(id);
  return {};
}

Result<void> WorkloadArming::recognise(Workload workload) {
  const std::uint64_t id = workload.cgroup_id;
  if (auto known = parts_.enforcer.recognise(id, workload.cgroup, workload.policy->image()); !known) return known;
  const auto facts = parts_.enforcer.find(id);
  if (!facts) return fail(ErrorKind::kNotFound, "the workload at " + workload.cgroup + " is no longer armed");
  tell_will_hold(workload);
  if (const Workload* before = parts_.registry.find_by_id(id)) take_history(workload, *before);
  take_kernel_facts(workload, *facts);
  parts_.registry.add(std::move(workload));
  tell_changed(id);
  if (facts->is_strict) flows_.judge(id);
  return {};
}

Result<void> WorkloadArming::end(Workload& workload) {
  if (auto denied = parts_.enforcer.deny_all(workload.cgroup_id); !denied) return denied;
  workload.is_over = true;
  ++parts_.figures.generation;
  tell_changed(workload.cgroup_id);
  return {};
}

Result<void> WorkloadArming::disarm(const Workload& workload) {
  const auto opened = open_cgroup(parts_.cgroups, workload.cgroup, workload.cgroup_id);
  if (!opened) return tl::unexpected(opened.error());
  if (auto lifted = parts_.enforcer.disarm(opened->fd.get(), workload.cgroup_id); !lifted) return lifted;
  const std::uint64_t id = workload.cgroup_id;
  const std::string name = workload.name;
  parts_.ends.unfollow(id);
  parts_.registry.erase(id);
  parts_.hub.forget(name);
  flows_.forget(id);
  ++parts_.figures.generation;
  tell_changed(id);
  return {};
}

void WorkloadArming::forget(std::uint64_t cgroup_id) {
  parts_.enforcer.forget(cgroup_id);
  parts_.ends.unfollow(cgroup_id);
  flows_.forget(cgroup_id);
  tell_changed(cgroup_id);
  if (const Workload* workload = parts_.registry.find_by_id(cgroup_id)) {
    if (is_by_call(workload->origin)) parts_.unsaved.insert(workload->name);
    parts_.hub.forget(std::string(workload->name));
    parts_.registry.erase(cgroup_id);
  }
}

}  // namespace namewall::agent
