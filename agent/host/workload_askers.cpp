#include "agent/host/workload_askers.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "agent/host/host_clock.h"

namespace namewall::agent {
namespace {

// Whoever can connect to the proxy decides how often an unknown cgroup is asked for.
constexpr Nanoseconds kBetweenMeetings = std::chrono::milliseconds(100);
constexpr Nanoseconds kBetweenLooks = std::chrono::milliseconds(200);
constexpr std::size_t kMaxPaths = 65536;

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (path == "/" || slash == std::string_view::npos) return {};
  return slash == 0 ? std::string_view("/") : path.substr(0, slash);
}

}  // namespace

const Workload* level_that_wants_proxy(const std::vector<const Workload*>& levels) {
  const auto found = std::find_if(levels.begin(), levels.end(), [](const Workload* level) {
    return level->policy && level->policy->image()->learn == Learn::kProxy;
  });
  return found == levels.end() ? nullptr : *found;
}

WorkloadAskers::Levels WorkloadAskers::levels_of(const Workload& workload) const {
  Levels levels{{&workload}, true};
  for (const Workload* above = &workload; !above->cgroup.empty();) {
    const std::string_view parent = parent_of(above->cgroup);
    above = parent.empty() ? nullptr : registry_.find_holding(parent);
    if (above == nullptr) break;
    // A template holds through its children alone; it is found by one that is not in the registry.
    if (above->held_by == HeldBy::kTemplate) {
      levels.is_complete = false;
    } else {
      levels.workloads.push_back(above);
    }
  }
  return levels;
}

Asker WorkloadAskers::make(std::uint64_t cgroup_id) {
  const Workload* workload = registry_.find_by_id(cgroup_id);
  if (workload == nullptr && boot_now() >= next_meeting_) {
    next_meeting_ = boot_now() + kBetweenMeetings;
    seams_.meet_children();
    workload = registry_.find_by_id(cgroup_id);
  }
  if (workload == nullptr || !workload->is_armed || workload->held_by == HeldBy::kTemplate) return nullptr;
  Levels levels = levels_of(*workload);
  if (!levels.is_complete) {
    seams_.meet_children();
    workload = registry_.find_by_id(cgroup_id);
    levels = levels_of(*workload);
    if (!levels.is_complete) return nullptr;
  }
  auto asker = std::make_shared<std::vector<AskerLevel>>();
  for (const Workload* level : levels.workloads) {
    if (!level->policy || level->is_over) return nullptr;
    asker->push_back({level->cgroup_id, level->name, level->policy->image(), level->policy->image_hash});
  }
  return asker;
}

Asker WorkloadAskers::find(std::uint64_t cgroup_id) {
  const std::uint64_t generation = figures_.generation;
  const auto found = kept_.find(cgroup_id);
  if (found != kept_.end() && found->second.generation == generation) return found->second.asker;
  Asker asker = make(cgroup_id);
  if (!asker) {
    kept_.erase(cgroup_id);
    return nullptr;
  }
  Kept& kept = kept_[cgroup_id];
  const auto is_same = [](const AskerLevel& a, const AskerLevel& b) {
    return a.cgroup_id == b.cgroup_id && a.workload == b.workload && a.image == b.image;
  };
  const bool stays =
      kept.asker && std::equal(kept.asker->begin(), kept.asker->end(), asker->begin(), asker->end(), is_same);
  if (!stays) kept.asker = std::move(asker);
  kept.generation = generation;
  return kept.asker;
}

void WorkloadAskers::look_for_cgroups() {
  if (boot_now() < next_look_) return;
  next_look_ = boot_now() + kBetweenLooks;
  if (paths_.size() > kMaxPaths) paths_.clear();
  for (const ExistingCgroup& cgroup : seams_.list_cgroups()) {
    if (registry_.find_holding(cgroup.path) != nullptr) paths_[cgroup.id] = cgroup.path;
  }
}

std::string WorkloadAskers::path_of(std::uint64_t cgroup_id) {
  if (const Workload* exact = registry_.find_by_id(cgroup_id)) return exact->cgroup;
  auto found = paths_.find(cgroup_id);
  if (found == paths_.end()) {
    look_for_cgroups();
    found = paths_.find(cgroup_id);
  }
  return found == paths_.end() ? std::string() : found->second;
}

Asker WorkloadAskers::find_of_cgroup(std::uint64_t cgroup_id) {
  // One of a workload itself needs no path: a template's child may have none yet.
  const Workload* exact = registry_.find_by_id(cgroup_id);
  if (exact != nullptr && exact->is_armed && exact->held_by != HeldBy::kTemplate) return find(cgroup_id);
  const std::string path = path_of(cgroup_id);
  const Workload* holding = path.empty() ? nullptr : registry_.find_holding(path);
  if (holding != nullptr && holding->held_by == HeldBy::kTemplate) {
    seams_.meet_children();
    holding = registry_.find_holding(path);
  }
  return holding == nullptr ? nullptr : find(holding->cgroup_id);
}

std::vector<std::uint64_t> WorkloadAskers::kept_with(const std::set<std::uint64_t>& changed) const {
  std::vector<std::uint64_t> found;
  for (const auto& [id, kept] : kept_) {
    const bool is_level = std::any_of(kept.asker->begin(), kept.asker->end(),
                                      [&](const AskerLevel& level) { return changed.contains(level.cgroup_id); });
    const Workload* workload = registry_.find_by_id(id);
    const bool is_child = workload != nullptr && workload->is_template_child;
    const Workload* above = is_child ? registry_.find_at(parent_of(workload->cgroup)) : nullptr;
    if (is_level || (above != nullptr && changed.contains(above->cgroup_id))) found.push_back(id);
  }
  return found;
}

}  // namespace namewall::agent
