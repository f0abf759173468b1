// HostEnforcer: whether the kernel still holds what was armed.
#include <algorithm>
#include <utility>

#include "bpf/cgroup_search.h"
#include "bpf/host_state.h"

namespace namewall::bpf {
namespace {

constexpr std::chrono::seconds kBetweenLooksAtChildren(10);

}  // namespace

std::vector<Damage> HostEnforcer::verify(std::size_t budget) {
  std::vector<Damage> found;
  // While somebody keeps house the pins are his; the next call looks.
  const std::unique_lock house_lock(state_->house, std::try_to_lock);
  const std::lock_guard lock(state_->mutex);
  std::swap(found, state_->noticed);
  if (house_lock) state_->inspect_directory(found);
  state_->inspect_cgroups(budget, found);
  if (house_lock) {
    for (const auto& layer : state_->layers) {
      for (Damage& damage : layer->inspect_tables()) found.push_back(std::move(damage));
    }
  }
  if (const auto now = std::chrono::steady_clock::now(); now - state_->children_seen > kBetweenLooksAtChildren) {
    state_->children_seen = now;
    state_->forget_vanished_children();
  }
  return found;
}

std::vector<Damage> HostEnforcer::verify_policies(std::size_t budget) {
  const std::lock_guard lock(state_->mutex);
  std::deque<std::uint64_t>& turn = state_->policy_turn;
  if (turn.empty()) {
    for (const auto& [id, place] : state_->places) turn.push_back(id);
  }
  std::vector<Damage> found;
  for (; budget > 0 && !turn.empty(); --budget) {
    const auto place = state_->places.find(turn.front());
    turn.pop_front();
    if (place == state_->places.end()) continue;
    const auto& [id, at] = *place;
    auto changed = state_->layers[at.layer]->inspect_policy(id, at.cgroup);
    // The storage of a cgroup goes with it: whoever watches cgroups forgets it.
    if (changed && (changed->repaired || open_cgroup(state_->cgroup_mount, at.cgroup, id))) {
      found.push_back(std::move(*changed));
    }
  }
  return found;
}

std::optional<bool> HostEnforcer::seems_detached() {
  const std::lock_guard lock(state_->mutex);
  const auto others = state_->count_other_references();
  if (!others) return std::nullopt;
  if (!state_->other_references) state_->other_references = others;
  const bool is_fewer = *others < *state_->other_references;
  const bool seemed = std::exchange(state_->seemed_lost, is_fewer);
  if (!is_fewer || !seemed) return false;
  state_->other_references = others;
  state_->seemed_lost = false;
  return true;
}

std::size_t HostEnforcer::begin_turn() {
  const std::lock_guard lock(state_->mutex);
  state_->turn.clear();
  return state_->places.size() + state_->guarded.size();
}

Result<DriftReport> HostEnforcer::find_drift(bool repair) {
  DriftReport report;
  if (!repair) return report;
  for (Damage& damage : verify(begin_turn())) {
    (damage.repaired ? report.table : report.unrepaired).push_back(std::move(damage.what));
  }
  return report;
}

std::optional<std::int64_t> HostEnforcer::State::count_other_references() const {
  if (!census) return std::nullopt;
  std::set<std::uint32_t> programs;
  for (const auto& layer : layers) layer->attachment().add_program_ids(programs);
  const auto references = census->count(programs);
  if (!references) return std::nullopt;
  const Attachment& hooks = layers.front()->attachment();  // all layers have the same
  return *references - static_cast<std::int64_t>(with_programs * hooks.hooks() + guarded.size() * hooks.guard_hooks());
}

void HostEnforcer::State::inspect_directory(std::vector<Damage>& found) {
  const PinDirectory::Inspection seen = pins.inspect();
  for (const std::string& what : seen.unrepaired) found.push_back({what, false});
  bool is_repaired = true;
  if (seen.is_new) {
    is_repaired = pins.make_directory("v" + std::to_string(NW_ABI_VERSION)).has_value();
    for (const auto& layer : layers) is_repaired = layer->pin_everything().has_value() && is_repaired;
  }
  for (const std::string& what : seen.repaired) found.push_back({what, is_repaired});
  for (const auto& layer : layers) {
    for (Damage& damage : layer->inspect_pins()) found.push_back(std::move(damage));
  }
}

void HostEnforcer::State::inspect_cgroups(std::size_t budget, std::vector<Damage>& found) {
  if (turn.empty()) {
    // Repaired attachments count again; fewer than before is left to be noticed.
    if (const auto others = count_other_references()) {
      other_references = std::max(other_references.value_or(*others), *others);
    }
    for (const auto& [id, place] : places) turn.push_back(id);
    for (const auto& [id, path] : guarded) turn.push_back(id);
  }
  for (; budget > 0 && !turn.empty(); --budget) {
    const std::uint64_t id = turn.front();
    turn.pop_front();
    if (const auto guard = guarded.find(id); guard != guarded.end()) {
      if (const auto fd = open_cgroup(cgroup_mount, guard->second, id)) {
        for (Damage& damage : layers.front()->inspect_guard(fd->get(), id, guard->second)) {
          found.push_back(std::move(damage));
        }
      }
    }
    const auto place = places.find(id);
    if (place == places.end()) continue;
    const auto fd = open_cgroup(cgroup_mount, place->second.cgroup, id);
    if (!fd) continue;  // gone: whoever watches cgroups forgets it
    for (Damage& damage : layers[place->second.layer]->inspect(fd->get(), id, place->second.cgroup)) {
      found.push_back(std::move(damage));
    }
  }
}

// Rows of cgroups that are gone, whom nobody tells us of while no daemon runs.
void HostEnforcer::State::forget_vanished_children() {
  for (const auto& layer : layers) {
    const std::vector<nw_workload> rows = layer->children().list();  // before the directories: a new one is in both
    if (rows.empty()) continue;
    std::unordered_map<std::uint64_t, std::set<std::uint64_t>> existing;  // template -> its children
    for (const nw_workload& row : rows) {
      auto [known, is_new] = existing.try_emplace(row.template_id);
      if (is_new) {
        if (const auto fd = open_cgroup(cgroup_mount, cgroup_of(row.template_id), row.template_id)) {
          for (const std::uint64_t id : children_of(fd->get())) known->second.insert(id);
        }
      }
      if (known->second.contains(row.cgroup_id)) continue;
      layer->forget(row.cgroup_id);
      if (places.contains(row.cgroup_id)) displace(row.cgroup_id);
    }
  }
}

}  // namespace namewall::bpf
