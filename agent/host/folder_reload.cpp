#include "agent/host/folder_reload.h"

#include <malloc.h>

#include <algorithm>
#include <set>
#include <utility>

#include "agent/host/folder_findings.h"
#include "agent/host/host_clock.h"
#include "agent/host/policy_folder.h"
#include "agent/policy_sources.h"

namespace namewall::agent {
namespace {

std::set<std::string> manifests_of(const FolderSnapshot& folder) {
  std::set<std::string> manifests;
  for (const PolicyFileStatus& file : folder.files) {
    if (file.in_force && file.in_force->policy.spin) manifests.insert(file.in_force->policy.spin->manifest);
  }
  return manifests;
}

}  // namespace

void FolderReload::read() {
  const auto system = read_system_resolv_conf();
  // A resolv.conf that cannot be read now: what it said before holds.
  const ResolvConf resolvers = system ? *system : parts_.folder.system;
  const HostSettings before = parts_.settings();
  const FolderSnapshot older = std::move(parts_.folder);
  parts_.context = PolicyContext::read_shipped(paths_.groups);
  parts_.folder = next_snapshot(read_folder(paths_.policies, paths_.host_file), older, resolvers, boot_now(),
                                std::nullopt, parts_.context.get());
  const std::vector<std::string>& group_errors = parts_.context.errors();
  parts_.folder.errors.insert(parts_.folder.errors.end(), group_errors.begin(), group_errors.end());
  find_conflicts(parts_.folder, older, is_public_suffix_);
  for (const std::string& change : parts_.folder.group_changes) {
    parts_.diary.notice(Priority::kWarning, "", "group_change", change);
  }
  if (!system) parts_.folder.errors.push_back(system.error().message());
  // What reading took is several times what is kept of it.
  ::malloc_trim(0);
  if (!holds_the_same(older, parts_.folder)) parts_.is_folder_unsaved = true;
  if (!(parts_.settings() == before)) settings_changed_();
  if (watch_others_) watch_others_(manifests_of(parts_.folder));
}

// A file that is gone is kept for what it holds: where a teardown lifted all of that, there is nothing to keep.
void FolderReload::follow_lifted() {
  if (parts_.lifted.by_cgroup().empty()) return;
  std::set<std::string> used;
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    if (workload.policy) used.insert(workload.policy->name());
  });
  for (const auto& [cgroup, place] : parts_.lifted.by_cgroup()) {
    if (!used.contains(place.policy)) (void)forget_gone_file(parts_.folder, place.policy);
  }
  parts_.lifted.follow(parts_.folder);
  parts_.is_folder_unsaved = true;
}

std::vector<std::string> FolderReload::read_first() {
  read();
  return parts_.folder.all_errors();
}

void FolderReload::renew_calls(std::vector<std::string>& errors) {
  std::vector<std::pair<std::uint64_t, HeldPolicyPtr>> renewed;
  parts_.registry.each([&](const Workload& workload) {
    if (!is_by_call(workload.origin) || !workload.policy_reference.empty() || workload.is_over) return;
    const auto& host = parts_.folder.host.in_force;
    auto policy = workload.origin == WorkloadOrigin::kRestrict
                      ? parts_.shelf.load_own(workload.policy_text, host, parts_.folder.system)
                      : parts_.shelf.load(workload.policy_text, workload.name, host, parts_.folder.system);
    if (!policy) {
      errors.push_back(workload.name + ": " + policy.error().message());
    } else if ((*policy)->image_hash != workload.policy->image_hash) {
      renewed.emplace_back(workload.cgroup_id, std::move(*policy));
    }
  });
  for (auto& [id, policy] : renewed) {
    Workload workload = *parts_.registry.find_by_id(id);
    const std::string name = workload.name;
    workload.policy = std::move(policy);
    if (const auto done = arming_.replace(std::move(workload)); !done) {
      errors.push_back(name + ": " + done.error().message());
    }
  }
}

ReloadView FolderReload::reload(const Peer* peer) {
  const auto host_before = parts_.folder.host.in_force;
  const auto resolvers_before = parts_.folder.system.nameservers;
  read();
  ReloadView view;
  view.errors = parts_.folder.all_errors();
  const bool is_host_new =
      parts_.folder.host.in_force != host_before || parts_.folder.system.nameservers != resolvers_before;
  if (is_host_new) renew_calls(view.errors);
  follow_lifted();
  const Reconciler::Outcome outcome = reconciler_.reconcile();
  view.errors.insert(view.errors.end(), outcome.errors.begin(), outcome.errors.end());
  view.ok = view.errors.empty();
  view.warnings = collect_warnings(parts_.folder, kMaxWarningsShown);
  view.armed = outcome.armed;
  view.replaced = outcome.replaced;
  view.let_go = outcome.let_go;
  view.unchanged = outcome.unchanged;

  HostFigures& figures = parts_.figures;
  ++figures.reloads;
  if (!view.ok) ++figures.reload_failures;
  figures.last_reload_at = rfc3339_milliseconds(utc_now());
  for (const std::string& error : view.errors) parts_.diary.notice(Priority::kError, "", "reload_error", error);
  ChangeEntry entry;
  entry.action = ChangeAction::kReload;
  entry.new_generation = figures.generation;
  if (!view.ok) entry.result = view.errors.front();
  parts_.diary.record(std::move(entry), peer);
  return view;
}

}  // namespace namewall::agent
