#include "agent/host/workload_calls.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/expectations.h"
#include "agent/host/cgroup_scan.h"
#include "agent/host/host_clock.h"
#include "agent/host/rule_change.h"
#include "agent/host/workload_state.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxName = 128;
constexpr double kMaxTtlSeconds = 366.0 * 86400;

Result<void> check_name(const std::string& name) {
  const bool is_plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
  if (!name.empty() && name.size() <= kMaxName && is_plain) return {};
  return fail(ErrorKind::kInvalid, "a workload by call is named by letters, digits, `-`, `_` and `.`, at most " +
                                       std::to_string(kMaxName) + " of them, not " + quote_for_display(name));
}

// What [[expect]] of a policy says and its rules do not do, a line each.
std::string expectations_failed_by(const HeldPolicy& held) {
  std::string lines;
  for (const Diagnostic& failure : failed_expectations(held.policy(), held.host_policy(), *held.image())) {
    lines += (lines.empty() ? "" : "\n") + failure.to_string();
  }
  return lines;
}

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : "; ") + sentence;
  return text;
}

}  // namespace

Result<WorkloadCalls::Place> WorkloadCalls::find_place(const std::string& name, const WorkloadRequest& request) const {
  std::string path = request.cgroup;
  if (!path.empty() && request.cgroup_id != 0) {
    return fail(ErrorKind::kInvalid, "`cgroup` and `cgroup_id` name the same thing: give one of them");
  }
  if (request.cgroup_id != 0) {
    if (const Workload* known = parts_.registry.find_by_id(request.cgroup_id)) {
      path = known->cgroup;
    } else {
      const auto all = scan_cgroups(parts_.cgroups.directory_of("/"), "/");
      if (!all) return tl::unexpected(all.error());
      const auto found = std::find_if(all->begin(), all->end(),
                                      [&](const ExistingCgroup& cgroup) { return cgroup.id == request.cgroup_id; });
      if (found == all->end()) {
        return fail(ErrorKind::kNotFound, "there is no cgroup with id " + std::to_string(request.cgroup_id));
      }
      path = found->path;
    }
  }
  if (path.empty()) {
    const Workload* known = parts_.registry.find(name);
    if (known == nullptr) return fail(ErrorKind::kInvalid, "a new workload needs its `cgroup` or `cgroup_id`");
    path = known->cgroup;
  }
  if (path == "/") return fail(ErrorKind::kInvalid, "the root cgroup holds the whole host, this daemon included");
  auto opened =
      open_cgroup(parts_.cgroups, path, request.cgroup_id == 0 ? std::nullopt : std::optional(request.cgroup_id));
  if (!opened) return tl::unexpected(opened.error());
  return Place{std::move(path), std::move(*opened)};
}

Result<void> WorkloadCalls::check_free(const std::string& name, const Place& place) const {
  const Workload* named = parts_.registry.find(name);
  if (named != nullptr && named->cgroup_id != place.opened.id &&
      !is_cgroup_gone(parts_.cgroups.directory_of(named->cgroup), named->cgroup_id)) {
    return fail(ErrorKind::kConflict, "the name " + name + " belongs to the workload at " + named->cgroup);
  }
  const Workload* there = parts_.registry.find_by_id(place.opened.id);
  if (there == nullptr) return {};
  if (there->held_by == HeldBy::kTemplate) {
    return fail(ErrorKind::kConflict, "the cgroup " + place.cgroup + " is the template " + there->name);
  }
  if (there->origin == WorkloadOrigin::kAdopted || (there->origin == WorkloadOrigin::kCall && there->name == name)) {
    return {};
  }
  if (there->origin == WorkloadOrigin::kCall) {
    return fail(ErrorKind::kConflict, "the cgroup " + place.cgroup + " is the workload " + there->name);
  }
  // A glob's match may be claimed: an exact path beats a glob.
  const auto& patterns = there->policy->version->planned.cgroups;
  const bool is_written_out = std::any_of(patterns.begin(), patterns.end(), [&](const CgroupPattern& pattern) {
    return pattern.is_exact() && pattern.text() == place.cgroup;
  });
  if (!is_written_out) return {};
  return fail(ErrorKind::kConflict,
              "the cgroup " + place.cgroup + " belongs to the policy file " + there->policy->file());
}

Result<HeldPolicyPtr> WorkloadCalls::find_policy(const std::string& name, const WorkloadRequest& request) {
  if (request.policy.empty() == request.policy_text.empty()) {
    return fail(ErrorKind::kInvalid, "a workload needs `policy`, the name of a policy of the folder, or `policy_text`");
  }
  if (!request.policy_text.empty()) {
    auto held = parts_.shelf.load(request.policy_text, name, parts_.folder.host.in_force, parts_.folder.system,
                                  parts_.load_context());
    if (!held) return held;
    if (const std::string failures = expectations_failed_by(**held); !failures.empty()) {
      return fail(ErrorKind::kInvalid, failures);
    }
    return held;
  }
  const auto version = parts_.folder.find(request.policy);
  if (!version) return fail(ErrorKind::kNotFound, "no policy in force is called " + quote_for_display(request.policy));
  return parts_.hold(version);
}

Result<std::vector<std::string>> WorkloadCalls::find_holes(const Peer& peer, const Place& place, bool allow_partial) {
  std::vector<std::string> holes = inspections_.inspect(place.opened, peer.pid);
  if (holes.empty() || allow_partial) return holes;
  return fail(ErrorKind::kConflict,
              "the workload would be held only partially, which needs `allow_partial`: " + joined(holes));
}

HeldBy WorkloadCalls::held_by_at(const std::string& cgroup, std::uint64_t id) const {
  if (const auto armed = parts_.enforcer.find(id)) return armed->is_child ? HeldBy::kTemplateRow : HeldBy::kOwnPrograms;
  const Workload* parent = parts_.registry.find_at(parent_cgroup(cgroup));
  return parent != nullptr && parent->held_by == HeldBy::kTemplate ? HeldBy::kTemplateRow : HeldBy::kOwnPrograms;
}

Result<void> WorkloadCalls::hold(Workload workload, bool is_armed) {
  const std::uint64_t id = workload.cgroup_id;
  const std::string cgroup = workload.cgroup;
  if (auto followed = parts_.ends.follow(cgroup, id); !followed) return followed;
  Result<void> done;
  if (is_armed) {
    done = arming_.replace(std::move(workload));
  } else {
    std::vector<Workload> one;
    one.push_back(std::move(workload));
    done = std::move(arming_.arm(std::move(one)).front());
  }
  if (!done && !is_armed) parts_.ends.unfollow(id);
  return done;
}

ChangeView WorkloadCalls::changed(const Workload& workload) const {
  ChangeView view;
  view.workload = workload.name;
  view.cgroup = workload.cgroup;
  view.cgroup_id = workload.cgroup_id;
  view.generation = workload.generation;
  view.state = state_of(workload);
  view.why = why_of(workload, flows_.obstacle(workload.cgroup_id));
  return view;
}

Result<ChangeView> WorkloadCalls::put_unrecorded(const Peer& peer, const std::string& name,
                                                 const WorkloadRequest& request) {
  if (auto valid = check_name(name); !valid) return tl::unexpected(valid.error());
  if (request.ttl_s == 0 || request.ttl_s > kMaxTtlSeconds) {
    return fail(ErrorKind::kInvalid, "`ttl_s` is more than 0 and at most a year, in seconds");
  }
  auto place = find_place(name, request);
  if (!place) return tl::unexpected(place.error());
  if (auto free = check_free(name, *place); !free) return tl::unexpected(free.error());
  auto policy = find_policy(name, request);
  if (!policy) return tl::unexpected(policy.error());
  auto holes = find_holes(peer, *place, request.allow_partial);
  if (!holes) return tl::unexpected(holes.error());

  // A cgroup that was made anew under its old name.
  if (const Workload* old = parts_.registry.find(name); old != nullptr && old->cgroup_id != place->opened.id) {
    arming_.forget(old->cgroup_id);
  }
  const std::uint64_t id = place->opened.id;
  const auto held = parts_.enforcer.find(id);
  const bool is_unnamed_child = held && held->is_child && !held->has_own_policy;
  Workload workload;
  workload.name = name;
  workload.cgroup = place->cgroup;
  workload.cgroup_id = id;
  workload.held_by = held_by_at(place->cgroup, id);
  workload.origin = WorkloadOrigin::kCall;
  workload.policy = std::move(*policy);
  workload.policy_reference = request.policy;
  // What it referred to, groups and manifests, is spelled out: it is compiled anew from this.
  if (!request.policy_text.empty()) workload.policy_text = workload.policy->version->canonical_text;
  workload.partial = *holes;
  workload.allow_partial = request.allow_partial;
  workload.labels = request.labels;
  if (request.ttl_s > 0) {
    workload.ends_at =
        boot_now() + std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(request.ttl_s));
  }
  if (auto done = hold(std::move(workload), held && !is_unnamed_child); !done) return tl::unexpected(done.error());
  Workload* entered = parts_.registry.find_by_id(id);
  entered->partial = std::move(*holes);
  parts_.unsaved.insert(name);
  return changed(*entered);
}

Result<ChangeView> WorkloadCalls::put(const Peer& peer, const std::string& name, const WorkloadRequest& request) {
  const Workload* known = parts_.registry.find(name);
  const std::optional<Workload> before = known == nullptr ? std::nullopt : std::optional(*known);
  auto outcome = put_unrecorded(peer, name, request);
  record(before ? ChangeAction::kReplace : ChangeAction::kArm, peer, name, request.reason, before ? &*before : nullptr,
         outcome);
  return outcome;
}

Result<ChangeView> WorkloadCalls::patch_unrecorded(const std::string& name, const RuleChange& change) {
  const Workload* known = parts_.registry.find(name);
  if (known == nullptr) return fail(ErrorKind::kNotFound, "no workload is called " + quote_for_display(name));
  if (known->origin == WorkloadOrigin::kRestrict) {
    return fail(ErrorKind::kConflict, "the rules of " + name + " are what a process left itself: they do not change");
  }
  if (known->origin != WorkloadOrigin::kCall) {
    return fail(ErrorKind::kConflict, "the rules of " + name + " are those of " +
                                          (known->policy ? known->policy->file() : "an unknown policy") +
                                          ": change them there");
  }
  if (known->is_over) return fail(ErrorKind::kConflict, "the time of " + name + " is over; PUT it again");
  const auto text = apply_rule_change(known->policy->policy(), change);
  if (!text) return tl::unexpected(text.error());
  auto policy =
      parts_.shelf.load(*text, name, parts_.folder.host.in_force, parts_.folder.system, parts_.load_context());
  if (!policy) return tl::unexpected(policy.error());
  Workload workload = *known;
  workload.policy = std::move(*policy);
  workload.policy_reference.clear();
  workload.policy_text = *text;
  const std::uint64_t id = workload.cgroup_id;
  if (auto done = arming_.replace(std::move(workload)); !done) return tl::unexpected(done.error());
  parts_.unsaved.insert(name);
  return changed(*parts_.registry.find_by_id(id));
}

Result<ChangeView> WorkloadCalls::patch(const Peer& peer, const std::string& name, const RuleChange& change) {
  const Workload* known = parts_.registry.find(name);
  const std::optional<Workload> before = known == nullptr ? std::nullopt : std::optional(*known);
  auto outcome = patch_unrecorded(name, change);
  record(ChangeAction::kPatch, peer, name, change.reason, before ? &*before : nullptr, outcome);
  return outcome;
}

void WorkloadCalls::record(ChangeAction action, const Peer& peer, const std::string& name, const std::string& reason,
                           const Workload* before, const Result<ChangeView>& outcome) {
  ChangeEntry entry;
  entry.action = action;
  entry.workload = name;
  entry.reason = reason;
  if (before != nullptr) {
    entry.cgroup = before->cgroup;
    entry.old_generation = before->generation;
    if (before->policy) entry.old_sha256 = before->policy->sha256();
  }
  if (!outcome) {
    entry.result = outcome.error().message();
  } else if (const Workload* now = parts_.registry.find(name); now != nullptr) {
    entry.cgroup = now->cgroup;
    entry.new_generation = now->generation;
    if (now->policy) entry.new_sha256 = now->policy->sha256();
  }
  parts_.diary.record(std::move(entry), &peer);
}

void WorkloadCalls::end_overdue(BootTime now) {
  if (ends_known_at_ == parts_.figures.generation && now < next_end_) return;
  ends_known_at_ = parts_.figures.generation;
  next_end_ = kNever;
  std::vector<std::string> over;
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    if (!workload.ends_at || workload.is_over) return;
    if (*workload.ends_at <= now) {
      over.push_back(workload.name);
    } else {
      next_end_ = std::min(next_end_, *workload.ends_at);
    }
  });
  for (const std::string& name : over) {
    Workload* workload = parts_.registry.find(name);
    ChangeEntry entry;
    entry.action = ChangeAction::kEnd;
    entry.workload = name;
    entry.cgroup = workload->cgroup;
    entry.reason = "its time is over";
    entry.old_generation = workload->generation;
    if (workload->policy) entry.old_sha256 = workload->policy->sha256();
    const auto ended = arming_.end(*workload);
    if (!ended) entry.result = ended.error().message();
    parts_.diary.record(std::move(entry), nullptr);
    if (!ended) {
      workload->failure = "its time is over, and it could not be refused everything: " + ended.error().message();
      workload->ends_at = now + std::chrono::seconds(5);
      next_end_ = std::min(next_end_, *workload->ends_at);
      continue;
    }
    parts_.unsaved.insert(name);
    parts_.diary.notice(Priority::kNotice, name, "time_over", "its time is over: everything is refused");
  }
}

}  // namespace namewall::agent
