#include "agent/host/state_keeper.h"

#include <algorithm>
#include <utility>

#include "agent/host/host_clock.h"
#include "agent/host/opened_cgroup.h"
#include "agent/host/saved_folder.h"
#include "agent/policy_sources.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMostLines = 1000;  // of one turn; of more changes everything is written anew

std::int64_t unix_milliseconds(BootTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.since_boot + utc_at_boot()).count();
}

BootTime boot_time_of(std::int64_t unix_ms) { return BootTime{std::chrono::milliseconds(unix_ms) - utc_at_boot()}; }

SavedWorkload saved_form_of(const Workload& workload) {
  SavedWorkload saved;
  saved.name = workload.name;
  saved.cgroup = workload.cgroup;
  saved.cgroup_id = workload.cgroup_id;
  saved.origin = word_of(workload.origin);
  saved.policy = workload.policy_reference;
  // Also of a policy of the folder: it may be gone at the next start.
  saved.policy_text = workload.policy->version->canonical_text;
  saved.labels = workload.labels;
  if (workload.ends_at) saved.ttl_end_unix_ms = unix_milliseconds(*workload.ends_at);
  saved.armed_at = workload.armed_at;
  saved.allow_partial = workload.allow_partial;
  saved.is_cooperative = workload.is_cooperative;
  saved.policy_generation = workload.generation;
  return saved;
}

// False: a change since could not be saved (a full disk), and what was saved may allow more than the kernel does.
bool is_newest(const SavedWorkload& saved, const HeldPolicy& policy, const ArmedCgroup& armed) {
  return armed.generation == saved.policy_generation || armed.image_hash == policy.image_hash;
}

}  // namespace

SavedState StateKeeper::collect() const {
  SavedState state;
  state.boot_id = boot_id_;
  state.generation = parts_.figures.generation;
  state.folder = saved_form_of(parts_.folder, parts_.lifted);
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    if (is_by_call(workload.origin)) state.workloads.push_back(saved_form_of(workload));
  });
  return state;
}

Result<void> StateKeeper::restore_one(const SavedWorkload& saved, BootTime now) {
  const auto opened = open_cgroup(parts_.cgroups, saved.cgroup, saved.cgroup_id);
  if (!opened) {
    // It ended with its cgroup while no daemon was there.
    if (opened.error().kind == ErrorKind::kNotFound) return {};
    return tl::unexpected(opened.error());
  }
  Workload workload;
  if (!saved.policy.empty()) {
    if (const auto version = parts_.folder.find(saved.policy)) workload.policy = parts_.hold(version);
  }
  if (!workload.policy) {
    const auto& host = parts_.folder.host.in_force;
    auto policy = saved.origin == word_of(WorkloadOrigin::kRestrict)
                      ? parts_.shelf.load_own(saved.policy_text, host, parts_.folder.system)
                      : parts_.shelf.load(saved.policy_text, saved.name, host, parts_.folder.system);
    if (!policy) return tl::unexpected(policy.error());
    workload.policy = std::move(*policy);
  }
  workload.name = saved.name;
  workload.cgroup = saved.cgroup;
  workload.cgroup_id = saved.cgroup_id;
  workload.origin =
      saved.origin == word_of(WorkloadOrigin::kRestrict) ? WorkloadOrigin::kRestrict : WorkloadOrigin::kCall;
  workload.is_cooperative = saved.is_cooperative;
  workload.policy_reference = saved.policy;
  workload.policy_text = saved.policy_text;
  workload.labels = saved.labels;
  workload.allow_partial = saved.allow_partial;
  workload.armed_at = saved.armed_at;
  const auto armed = parts_.enforcer.find(saved.cgroup_id);
  if (armed && !is_newest(saved, *workload.policy, *armed)) {
    return fail(
        ErrorKind::kConflict,
        "the kernel holds it to a newer policy than the one that was saved, and goes on with that; PUT it again");
  }
  if (armed) workload.generation = armed->generation;
  if (saved.ttl_end_unix_ms) {
    workload.ends_at = boot_time_of(*saved.ttl_end_unix_ms);
    workload.is_over = *workload.ends_at <= now;
  }
  if (armed && armed->is_child) workload.held_by = HeldBy::kTemplateRow;
  if (auto followed = parts_.ends.follow(saved.cgroup, saved.cgroup_id); !followed) return followed;
  if (!parts_.registry.add(std::move(workload))) {
    return fail(ErrorKind::kConflict, "two saved workloads are called " + saved.name);
  }
  return {};
}

std::vector<std::string> StateKeeper::load(BootTime now) {
  std::vector<std::string> sentences;
  if (const auto boot_id = read_boot_id()) {
    boot_id_ = *boot_id;
  } else {
    sentences.push_back(boot_id.error().message());
  }
  auto state = file_.load();
  if (!state) {
    if (state.error().kind == ErrorKind::kNotFound) return sentences;
    is_read_only_ = state.error().kind == ErrorKind::kConflict;
    sentences.push_back(state.error().message() + "; workloads by call stay held, without their names");
    return sentences;
  }
  loaded_ = *std::move(state);
  const auto system = read_system_resolv_conf();
  parts_.folder =
      restore_folder(loaded_.folder, system ? *system : ResolvConf{}, now, sentences, parts_.context.get());
  parts_.lifted = restore_lifted(loaded_.folder);
  return sentences;
}

// A file that went while no daemon was there: kept for what the kernel holds of it.
void StateKeeper::forget_gone_files() {
  const auto armed = parts_.enforcer.armed();
  if (!armed) return;
  std::vector<std::string> unused;
  for (const PolicyFileStatus& file : parts_.folder.files) {
    if (!file.is_gone || !file.in_force) continue;
    const std::uint64_t hash = parts_.hold(file.in_force)->image_hash;
    const bool is_held =
        std::any_of(armed->begin(), armed->end(), [&](const ArmedCgroup& cgroup) { return cgroup.image_hash == hash; });
    if (!is_held) unused.push_back(file.in_force->planned.name);
  }
  for (const std::string& policy : unused) (void)forget_gone_file(parts_.folder, policy);
  parts_.lifted.follow(parts_.folder);
}

std::vector<std::string> StateKeeper::restore(BootTime now) {
  std::vector<std::string> sentences;
  forget_gone_files();
  SavedState state = std::exchange(loaded_, {});
  if (const auto dropped = keep_state_of_this_boot(state, boot_id_)) sentences.push_back(*dropped);
  parts_.figures.generation = state.generation;
  for (const SavedWorkload& saved : state.workloads) {
    if (const auto done = restore_one(saved, now); !done)
      sentences.push_back(saved.name + ": " + done.error().message());
  }
  return sentences;
}

void StateKeeper::note(const Result<void>& outcome) {
  if (const auto news = trouble_.note(outcome)) parts_.diary.log(Priority::kError, *news);
}

void StateKeeper::save_changes() {
  const auto names = std::exchange(parts_.unsaved, {});
  if (is_read_only_) return;
  if (names.size() > kMostLines) return save_all();
  for (const std::string& name : names) {
    const Workload* workload = parts_.registry.find(name);
    const bool is_there = workload != nullptr && is_by_call(workload->origin);
    note(is_there ? file_.put(saved_form_of(*workload), parts_.figures.generation)
                  : file_.erase(name, parts_.figures.generation));
  }
  if (std::exchange(parts_.is_folder_unsaved, false)) {
    note(file_.put_folder(saved_form_of(parts_.folder, parts_.lifted), parts_.figures.generation));
  }
}

void StateKeeper::tidy() {
  if (!is_read_only_ && file_.wants_store()) save_all();
}

void StateKeeper::save_all() {
  parts_.unsaved.clear();
  parts_.is_folder_unsaved = false;
  if (!is_read_only_) note(file_.store(collect()));
}

}  // namespace namewall::agent
