#include "agent/host/workload_registry.h"

#include <utility>

namespace namewall::agent {
namespace {

template <typename Map, typename Key>
auto* find_in(const Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &*found->second;
}

}  // namespace

std::string_view word_of(WorkloadOrigin origin) {
  switch (origin) {
    case WorkloadOrigin::kFile:
      return "file";
    case WorkloadOrigin::kCall:
      return "api";
    case WorkloadOrigin::kRestrict:
      return "restrict";
    case WorkloadOrigin::kAdopted:
      return "adopted";
  }
  return "adopted";
}

bool is_provable(const Workload& workload) {
  return workload.backend == Backend::kBpf || workload.held_by != HeldBy::kTemplate;
}

bool is_proved_in_turn(const Workload& workload) { return !workload.is_template_child && is_provable(workload); }

bool WorkloadRegistry::add(Workload workload) {
  if (const Workload* other = find(workload.name); other != nullptr && other->cgroup_id != workload.cgroup_id) {
    return false;
  }
  erase(workload.cgroup_id);
  auto owned = std::make_unique<Workload>(std::move(workload));
  by_name_[owned->name] = owned.get();
  if (!owned->cgroup.empty()) by_path_[owned->cgroup] = owned.get();
  by_id_[owned->cgroup_id] = std::move(owned);
  return true;
}

void WorkloadRegistry::erase(std::uint64_t cgroup_id) {
  const auto found = by_id_.find(cgroup_id);
  if (found == by_id_.end()) return;
  by_name_.erase(found->second->name);
  // A cgroup that was made anew at the same path may have its place already.
  const auto at_path = by_path_.find(found->second->cgroup);
  if (at_path != by_path_.end() && at_path->second == found->second.get()) by_path_.erase(at_path);
  by_id_.erase(found);
}

Workload* WorkloadRegistry::find(std::string_view name) { return find_in(by_name_, name); }
const Workload* WorkloadRegistry::find(std::string_view name) const { return find_in(by_name_, name); }
Workload* WorkloadRegistry::find_by_id(std::uint64_t cgroup_id) { return find_in(by_id_, cgroup_id); }
const Workload* WorkloadRegistry::find_by_id(std::uint64_t cgroup_id) const { return find_in(by_id_, cgroup_id); }

const Workload* WorkloadRegistry::find_at(std::string_view path) const { return find_in(by_path_, path); }

const Workload* WorkloadRegistry::find_holding(std::string_view path) const {
  for (bool is_own = true; !path.empty(); is_own = false) {
    const Workload* here = find_in(by_path_, path);
    // A template holds its children, not its own processes.
    if (here != nullptr && here->is_armed && !(is_own && here->held_by == HeldBy::kTemplate)) return here;
    if (path == "/") break;
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) break;
    path = slash == 0 ? std::string_view("/") : path.substr(0, slash);
  }
  return nullptr;
}

void WorkloadRegistry::each(const std::function<void(Workload&)>& visit) {
  for (const auto& [name, workload] : by_name_) visit(*workload);
}

void WorkloadRegistry::each(const std::function<void(const Workload&)>& visit) const {
  for (const auto& [name, workload] : by_name_) visit(*workload);
}

}  // namespace namewall::agent
