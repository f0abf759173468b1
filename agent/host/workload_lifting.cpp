#include "agent/host/workload_lifting.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "policy/cgroup_pattern.h"
#include "policy/escape.h"

namespace namewall::agent {

std::vector<const Workload*> WorkloadLifting::children_of(const Workload& workload) const {
  std::vector<const Workload*> children;
  if (workload.held_by != HeldBy::kTemplate) return children;
  std::as_const(parts_.registry).each([&](const Workload& other) {
    if (other.held_by == HeldBy::kTemplateRow || other.is_template_child) {
      if (parent_cgroup(other.cgroup) == workload.cgroup) children.push_back(&other);
    }
  });
  return children;
}

// Also of one that the daemon had to arm with its template's policy.
bool WorkloadLifting::is_held_by_template(const Workload& workload) const {
  if (workload.is_template_child) return true;
  if (workload.held_by != HeldBy::kTemplateRow || workload.origin != WorkloadOrigin::kFile || !workload.policy ||
      !workload.policy->version->planned.arms_children) {
    return false;
  }
  const Workload* above = std::as_const(parts_.registry).find_at(parent_cgroup(workload.cgroup));
  return above != nullptr && above->is_armed && above->held_by == HeldBy::kTemplate && above->policy &&
         above->policy->name() == workload.policy->name();
}

Result<std::string> WorkloadLifting::lift(const Workload& workload) {
  if (is_held_by_template(workload)) {
    return fail(ErrorKind::kConflict, workload.name +
                                          " is held by its template; tear that down, or give it a policy of "
                                          "its own");
  }
  // A template's programs hold what has a policy of its own, too.
  std::vector<std::uint64_t> children;
  for (const Workload* child : children_of(workload)) {
    const auto row = parts_.enforcer.find(child->cgroup_id);
    if (row && row->has_own_policy && !is_held_by_template(*child)) {
      return fail(ErrorKind::kConflict, workload.name + " holds " + child->name + ", too: lift that first");
    }
    children.push_back(child->cgroup_id);
  }
  std::string line = workload.name + " at " + workload.cgroup;
  if (workload.policy) line += ", held to " + workload.policy->name();
  const std::string path = workload.cgroup, name = workload.name;
  const auto version = workload.origin == WorkloadOrigin::kFile && workload.policy ? workload.policy->version : nullptr;
  const auto held = parts_.enforcer.find(workload.cgroup_id);
  // Lifted so that the file's new form can take its place.
  const bool is_misfit = held && held->is_template != (workload.held_by == HeldBy::kTemplate);
  if (held) {
    if (auto lifted = arming_.disarm(workload); !lifted) return tl::unexpected(lifted.error());
  } else {
    arming_.forget(workload.cgroup_id);
  }
  for (const std::uint64_t child : children) arming_.forget(child);
  if (version && !is_misfit) {
    if (!forget_gone_file(parts_.folder, version->planned.name)) parts_.lifted.lift(path, *version);
    parts_.is_folder_unsaved = true;
  }
  parts_.unsaved.insert(name);
  return line;
}

Result<ChangeView> WorkloadLifting::remove(const Peer& peer, const std::string& name, const std::string& reason) {
  const Workload* known = parts_.registry.find(name);
  if (known == nullptr) return fail(ErrorKind::kNotFound, "no workload is called " + quote_for_display(name));
  if (known->origin == WorkloadOrigin::kFile) {
    return fail(ErrorKind::kConflict, name + " belongs to the policy file " +
                                          (known->policy ? known->policy->file() : "") + "; `namewall teardown " +
                                          name + "` lifts it all the same");
  }
  return teardown(peer, name, reason);
}

Result<ChangeView> WorkloadLifting::teardown(const Peer& peer, const std::string& name, const std::string& reason) {
  std::vector<std::string> names;
  if (name.empty()) {
    // Children go with their template; what is below goes before what is above it.
    std::vector<std::pair<std::string, std::string>> places;
    parts_.registry.each([&](const Workload& workload) {
      if (!is_held_by_template(workload)) places.emplace_back(workload.cgroup, workload.name);
    });
    std::sort(places.rbegin(), places.rend());
    for (auto& [path, one] : places) names.push_back(std::move(one));
  } else if (parts_.registry.find(name) == nullptr) {
    return fail(ErrorKind::kNotFound, "no workload is called " + quote_for_display(name));
  } else {
    names.push_back(name);
  }
  ChangeView view;
  view.workload = name;
  std::optional<Error> first_error;
  for (const std::string& one : names) {
    const Workload before = *parts_.registry.find(one);
    auto line = lift(before);
    if (line) {
      view.cgroup = before.cgroup;
      view.cgroup_id = before.cgroup_id;
      view.lifted.push_back(*line);
      parts_.diary.notice(Priority::kWarning, one, "lifted", "enforcement of " + *line + " was lifted: " + reason);
    } else {
      view.why.push_back(line.error().message());
      if (!first_error) first_error = line.error();
    }
    record(peer, before, reason, line ? "ok" : line.error().message());
  }
  if (first_error && (view.lifted.empty() || !name.empty())) return tl::unexpected(*first_error);
  return view;
}

void WorkloadLifting::record(const Peer& peer, const Workload& before, const std::string& reason,
                             const std::string& result) {
  ChangeEntry entry;
  entry.action = ChangeAction::kTeardown;
  entry.workload = before.name;
  entry.cgroup = before.cgroup;
  entry.reason = reason;
  entry.old_generation = before.generation;
  if (before.policy) entry.old_sha256 = before.policy->sha256();
  entry.result = result;
  parts_.diary.record(std::move(entry), &peer);
}

}  // namespace namewall::agent
