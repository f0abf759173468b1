#include "agent/host/host_status.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "agent/host/folder_findings.h"
#include "agent/host/host_clock.h"
#include "agent/host/proxy_counts.h"
#include "agent/host/workload_state.h"

namespace namewall::agent {
namespace {

constexpr Nanoseconds kReadBudget = std::chrono::milliseconds(20);
constexpr std::size_t kMaxBounds = 100;
constexpr double kNear = 0.8;

double seconds(Nanoseconds duration) { return std::chrono::duration<double>(duration).count(); }

std::string count_of(std::uint32_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

// Whatever any user of the host may ask for says nothing of the host, and raises no alarm.
bool is_anybodys(const Workload& workload) { return workload.origin == WorkloadOrigin::kRestrict; }

}  // namespace

void HostStatus::add_policies(StatusView& view, BootTime now) const {
  std::map<std::string, std::uint32_t> users;
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    if (workload.policy && !workload.policy->file().empty()) ++users[workload.policy->name()];
  });
  for (const PolicyFileStatus& file : parts_.folder.files) {
    PolicyFileView policy;
    policy.file = file.file;
    policy.state = word_of(file.state);
    if (!file.errors.empty()) policy.error = file.errors.front();
    if (file.in_force) {
      policy.policy = file.in_force->planned.name;
      policy.sha256 = file.in_force->planned.sha256;
      policy.age_s = seconds(now - file.since);
      policy.workloads = users[policy.policy];
    }
    view.policies.push_back(std::move(policy));
  }
  const HostFileStatus& host = parts_.folder.host;
  view.warnings.insert(view.warnings.end(), host.errors.begin(), host.errors.end());
  const std::vector<std::string> warnings = collect_warnings(parts_.folder, kMaxWarningsShown);
  view.warnings.insert(view.warnings.end(), warnings.begin(), warnings.end());
  view.warnings.insert(view.warnings.end(), parts_.folder.errors.begin(), parts_.folder.errors.end());
}

void HostStatus::add_workloads(StatusView& view, BootTime now) const {
  view.workloads = static_cast<std::uint32_t>(parts_.registry.size());
  bool all_proved = true;
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    ++view.workloads_by_state[std::string(state_of(workload))];
    const Usage usage = usage_.last_of(workload);
    view.events_left_out += usage.events_left_out;
    if (is_anybodys(workload)) return;
    if (workload.proof.passed_at) {
      view.oldest_proof_s = std::max(view.oldest_proof_s, seconds(now - *workload.proof.passed_at));
    } else if (is_proved_in_turn(workload)) {
      all_proved = false;
    }
    if (!workload.policy || view.bounds.size() >= kMaxBounds) return;
    const double limit = workload.policy->image()->max_addresses;
    if (usage.grants >= kNear * limit)
      view.bounds.push_back({"grants of " + workload.name, double(usage.grants), limit});
  });
  if (!all_proved) view.oldest_proof_s = -1;
  const double limit = parts_.settings().max_workloads;
  if (view.workloads >= kNear * limit) view.bounds.push_back({"workloads", double(view.workloads), limit});
}

void HostStatus::add_proxy(StatusView& view) const {
  for (const ServedNetns& netns : proxy_.served()) {
    ProxyNetnsView place{netns.cookie, netns.is_own, {}, netns.pid};
    for (const ResolverAddress& resolver : netns.resolvers) place.resolvers.push_back(text_of(resolver));
    view.proxy_namespaces.push_back(std::move(place));
  }
  view.proxy = proxy_counts(proxy_.figures());
  for (std::string& warning : proxy_.warnings()) view.warnings.push_back(std::move(warning));
}

void HostStatus::conclude(StatusView& view) const {
  const std::uint32_t failed = view.workloads_by_state["failed"];
  std::uint32_t partial = 0;
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    const std::string_view state = state_of(workload);
    if (!is_anybodys(workload) && (state == "partial" || state == "adopted")) ++partial;
  });
  view.state = failed != 0 ? "failing" : partial != 0 ? "partial" : "enforcing";
  std::erase_if(view.workloads_by_state, [](const auto& entry) { return entry.second == 0; });
  view.why = parts_.errors;
  if (failed != 0) view.why.push_back(count_of(failed, "workload is", "workloads are") + " not held as they should be");
  if (partial != 0) view.why.push_back(count_of(partial, "workload has", "workloads have") + " something to look at");
  if (!parts_.errors.empty()) view.state = "failing";
}

StatusView HostStatus::status(BootTime now) {
  usage_.refresh(now, kReadBudget);
  const HostFigures& figures = parts_.figures;
  StatusView view;
  view.version = NAMEWALL_VERSION;
  view.pid = static_cast<std::uint32_t>(::getpid());
  view.started_at = figures.started_at;
  view.warnings = warnings_;
  add_policies(view, now);
  add_workloads(view, now);
  add_proxy(view);
  for (const auto& [cgroup, place] : parts_.lifted.by_cgroup()) {
    view.warnings.push_back("enforcement of " + place.policy + " was lifted by a teardown at " + cgroup +
                            "; it stays so until its policy file says something else");
  }
  if (!parts_.helper.is_alive()) {
    view.warnings.emplace_back(
        "the privileged helper has ended: no live proofs and no judging of old sockets; restart "
        "namewalld");
  }
  view.reloads = figures.reloads;
  view.reload_failures = figures.reload_failures;
  view.last_reload_at = figures.last_reload_at;
  view.damage_repaired = figures.damage_repaired;
  view.last_damage = figures.last_damage;
  view.last_damage_at = figures.last_damage_at;
  view.events = parts_.hub.newest();
  view.unarmed_ms_last = figures.unarmed_ms_last;
  view.unarmed_ms_max = figures.unarmed_ms_max;
  view.grants_adopted = figures.grants_adopted;
  view.adoption_gap_ms = figures.adoption_gap_ms;
  view.generation = figures.generation;
  conclude(view);
  return view;
}

MetricsInput HostStatus::metrics(BootTime now) {
  usage_.refresh(now, kReadBudget);
  const HostFigures& figures = parts_.figures;
  MetricsInput input;
  input.version = NAMEWALL_VERSION;
  std::map<std::string, bool> is_unproved;
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    const std::string label = totals_.label_of(workload.policy ? workload.policy->name() : "");
    PolicyMetrics& metrics = input.policies[label];
    metrics.grants_live += usage_.last_of(workload).grants;
    ++metrics.workloads[std::string(is_anybodys(workload) ? "restricted" : state_of(workload))];
    if (is_anybodys(workload)) return;
    if (workload.proof.passed_at) {
      const double age = seconds(now - *workload.proof.passed_at);
      metrics.oldest_proof_s = std::max(metrics.oldest_proof_s.value_or(0), age);
    } else if (is_proved_in_turn(workload)) {
      is_unproved[label] = true;
    }
    if (workload.policy && label != CounterTotals::kOther) {
      PolicyInfo info{workload.policy->sha256(), workload.policy->file(), workload.generation, 0};
      for (const PolicyFileStatus& file : parts_.folder.files) {
        if (file.in_force == workload.policy->version) info.age_s = seconds(now - file.since);
      }
      metrics.info = std::move(info);
    }
  });
  for (const auto& [label, sums] : totals_.by_label()) input.policies[label].counters = sums;
  for (const auto& [label, unproved] : is_unproved) input.policies[label].oldest_proof_s.reset();
  for (const PolicyFileStatus& file : parts_.folder.files) {
    if (file.state != FileState::kInForce) input.broken_files.push_back(file.file);
  }
  input.kernel_update = figures.kernel_update;
  input.loop_stall = figures.loop_stall;
  input.unarmed = figures.unarmed;
  input.reloads_ok = figures.reloads - figures.reload_failures;
  input.reloads_failed = figures.reload_failures;
  input.proof_failures = figures.proof_failures;
  input.damage_found = figures.damage_found;
  input.damage_repaired = figures.damage_repaired;
  input.adopted_grants = figures.grants_adopted;
  input.adoption_gap_s = figures.adoption_gap_ms / 1000;
  input.write_failures["changes"] = parts_.diary.record_failures();
  input.proxy = proxy_counts(proxy_.figures());
  input.proxy_namespaces = proxy_.served().size();
  input.started_at_unix_s = seconds(figures.started.since_boot + utc_at_boot());
  return input;
}

}  // namespace namewall::agent
