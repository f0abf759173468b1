#include "nft/host_enforcer.h"

#include <algorithm>

#include "nft/cgroup_paths.h"
#include "nft/host_state.h"
#include "policy/image_hash.h"

namespace namewall::nft {
namespace {

tl::unexpected<Error> not_armed() { return fail(ErrorKind::kNotFound, "the cgroup is not armed"); }

}  // namespace

HostEnforcer::HostEnforcer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HostEnforcer::HostEnforcer(HostEnforcer&&) noexcept = default;
HostEnforcer& HostEnforcer::operator=(HostEnforcer&&) noexcept = default;
HostEnforcer::~HostEnforcer() = default;

const AdoptionReport& HostEnforcer::adoption() const { return state_->adoption; }

std::vector<Result<ArmedCgroup>> HostEnforcer::arm(const std::vector<ArmRequest>& requests) {
  const std::lock_guard lock(state_->mutex);
  return state_->arm(requests);
}

Result<ArmedCgroup> HostEnforcer::replace(std::uint64_t cgroup_id, std::shared_ptr<const PolicyImage> image,
                                          bool strict) {
  const std::lock_guard lock(state_->mutex);
  WorkloadModel* workload = state_->find(cgroup_id);
  if (workload == nullptr) return not_armed();
  if (auto done = state_->take_image(*workload, image, strict); !done) return tl::unexpected(done.error());
  return workload->describe();
}

Result<void> HostEnforcer::set_strict(std::uint64_t cgroup_id, bool strict) {
  const std::lock_guard lock(state_->mutex);
  WorkloadModel* workload = state_->find(cgroup_id);
  if (workload == nullptr) return not_armed();
  workload->is_strict = strict;
  return {};
}

Result<void> HostEnforcer::deny_all(std::uint64_t cgroup_id) {
  const std::lock_guard lock(state_->mutex);
  WorkloadModel* workload = state_->find(cgroup_id);
  if (workload == nullptr) return not_armed();
  if (workload->is_denied) return {};
  const std::uint64_t hash = workload->image_hash;
  workload->is_denied = true;
  workload->image_hash = 0;
  if (auto done = state_->update({workload}); !done) {
    workload->is_denied = false;
    workload->image_hash = hash;
    return done;
  }
  state_->forget_flows(*workload, [](SetId, const EndpointKey&) { return true; });
  return {};
}

Result<void> HostEnforcer::recognise(std::uint64_t cgroup_id, const std::string& cgroup,
                                     std::shared_ptr<const PolicyImage> image) {
  const std::lock_guard lock(state_->mutex);
  WorkloadModel* workload = state_->find(cgroup_id);
  if (workload == nullptr) return not_armed();
  if (workload->cgroup != cgroup) {
    return fail(ErrorKind::kConflict, "the cgroup at " + cgroup + " is armed as " + workload->cgroup);
  }
  if (workload->image) return {};
  if (workload->image_hash != hash_of(*image)) return fail(ErrorKind::kConflict, "another policy is in force");
  return state_->recognise(*workload, image);
}

Result<void> HostEnforcer::disarm(int, std::uint64_t cgroup_id) {
  const std::lock_guard lock(state_->mutex);
  WorkloadModel* workload = state_->find(cgroup_id);
  if (workload == nullptr) return not_armed();
  const WorkloadModel* above = workload->template_id == 0 ? nullptr : state_->find(workload->template_id);
  if (above != nullptr && above->image) {
    if (!workload->has_own_policy) return {};
    workload->has_own_policy = false;
    return state_->take_image(*workload, above->image, workload->is_strict);
  }
  std::vector<WorkloadModel*> lifted{workload};
  if (workload->is_template) {
    for (WorkloadModel* child : state_->children_of(*workload)) lifted.push_back(child);
  }
  return state_->lift(lifted);
}

void HostEnforcer::forget(std::uint64_t cgroup_id) {
  const std::lock_guard lock(state_->mutex);
  if (const auto guard = state_->guards.find(cgroup_id); guard != state_->guards.end()) {
    ElementChanges changes;
    changes.destroy.push_back(state_->guard_element(cgroup_id, guard->second));
    (void)state_->apply(changes);
    state_->guards.erase(guard);
  }
  WorkloadModel* workload = state_->find(cgroup_id);
  if (workload == nullptr) return;
  if (!state_->lift({workload})) state_->inspects_anyway = true;
}

Result<void> HostEnforcer::guard(int cgroup_fd, std::uint64_t cgroup_id) {
  const auto id = cgroup_id_of(cgroup_fd);
  if (!id) return tl::unexpected(id.error());
  if (*id != cgroup_id) return fail(ErrorKind::kInvalid, "the directory is of another cgroup");
  const std::lock_guard lock(state_->mutex);
  if (state_->guards.contains(cgroup_id)) return {};
  const std::string path = path_of_cgroup(state_->cgroup_mount, cgroup_fd);
  const WorkloadModel* held = state_->find(cgroup_id);
  if (held == nullptr || !held->is_template) {  // a template's element does it already
    ElementChanges changes;
    changes.add.push_back(state_->guard_element(cgroup_id, path));
    state_->parent_depths.insert(depth_of(path));
    if (auto done = state_->apply(changes); !done) return done;
  }
  state_->guards.emplace(cgroup_id, path);
  return {};
}

Result<void> HostEnforcer::unguard(int, std::uint64_t cgroup_id) {
  const std::lock_guard lock(state_->mutex);
  const auto guard = state_->guards.find(cgroup_id);
  if (guard == state_->guards.end()) return fail(ErrorKind::kNotFound, "the cgroup is not guarded");
  const WorkloadModel* held = state_->find(cgroup_id);
  if (held == nullptr || !held->is_template) {
    ElementChanges changes;
    changes.remove.push_back(state_->guard_element(cgroup_id, guard->second));
    if (auto done = state_->apply(changes); !done) return done;
  }
  state_->guards.erase(guard);
  return {};
}

std::map<std::uint64_t, std::string> HostEnforcer::guarded() const {
  const std::lock_guard lock(state_->mutex);
  return state_->guards;
}

Result<std::vector<ArmedCgroup>> HostEnforcer::armed() const {
  const std::lock_guard lock(state_->mutex);
  state_->meet_children();
  std::vector<ArmedCgroup> all;
  all.reserve(state_->workloads.size());
  for (const auto& [id, workload] : state_->workloads) all.push_back(workload->describe());
  return all;
}

std::optional<ArmedCgroup> HostEnforcer::find(std::uint64_t cgroup_id) const {
  const std::lock_guard lock(state_->mutex);
  const WorkloadModel* workload = state_->find(cgroup_id);
  return workload == nullptr ? std::nullopt : std::optional(workload->describe());
}

std::optional<std::uint64_t> HostEnforcer::cgroup_of_token(AskerToken token) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->tokens.find(token);
  return found == state_->tokens.end() ? std::nullopt : std::optional(found->second);
}

// Every packet to a place has a mark.
std::optional<std::uint64_t> HostEnforcer::take_asker(const AskerKey&) { return std::nullopt; }

std::vector<std::uint64_t> HostEnforcer::levels_of(std::uint64_t cgroup_id) const {
  const std::lock_guard lock(state_->mutex);
  const WorkloadModel* workload = state_->find(cgroup_id);
  if (workload == nullptr || workload->is_template) return {};
  std::vector<std::uint64_t> levels{cgroup_id};
  for (const WorkloadModel* above : state_->above(workload->cgroup)) levels.push_back(above->cgroup_id);
  return levels;
}

// Nothing of nftables depends on them: loopback is what the packet's own address says.
Result<void> HostEnforcer::set_own_addresses(const std::vector<Address>&) { return {}; }

}  // namespace namewall::nft
