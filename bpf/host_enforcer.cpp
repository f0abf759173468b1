#include "bpf/host_enforcer.h"

#include <algorithm>
#include <map>
#include <set>

#include "bpf/cgroup_handle.h"
#include "bpf/cgroup_search.h"
#include "bpf/host_state.h"

namespace namewall::bpf {
namespace {

tl::unexpected<Error> not_armed() { return fail(ErrorKind::kNotFound, "the cgroup is not armed"); }

struct Candidate {
  std::size_t request;
  ArmTarget target;
};

}  // namespace

HostEnforcer::HostEnforcer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HostEnforcer::HostEnforcer(HostEnforcer&&) noexcept = default;
HostEnforcer& HostEnforcer::operator=(HostEnforcer&&) noexcept = default;
HostEnforcer::~HostEnforcer() = default;

const AdoptionReport& HostEnforcer::adoption() const { return state_->adoption; }

Layer* HostEnforcer::State::layer_of(std::uint64_t cgroup_id) const {
  const auto found = places.find(cgroup_id);
  return found == places.end() ? nullptr : layers[found->second.layer].get();
}

void HostEnforcer::State::place(std::uint64_t cgroup_id, const std::vector<std::uint64_t>& ancestors,
                                std::uint32_t layer, const std::string& cgroup) {
  const ArmedWorkload* armed = layers[layer]->find(cgroup_id);
  const bool has_programs = armed != nullptr && (armed->config.flags & NW_FLAG_CHILD) == 0;
  nesting.add(cgroup_id, ancestors, layer);
  const auto [found, is_new] = places.try_emplace(cgroup_id);
  if (!is_new && found->second.has_programs) --with_programs;
  if (has_programs) ++with_programs;
  found->second = {layer, cgroup, has_programs};
  list_as_deeper(cgroup_id);
  (void)layers.front()->list_as_armed(cgroup_id);  // unlisted, a guard above refuses it: nothing is opened
}

void HostEnforcer::State::displace(std::uint64_t cgroup_id) {
  unlist_as_deeper(cgroup_id);
  layers.front()->unlist_as_armed(cgroup_id);
  nesting.remove(cgroup_id);
  const auto found = places.find(cgroup_id);
  if (found == places.end()) return;
  if (found->second.has_programs) --with_programs;
  places.erase(found);
}

std::string HostEnforcer::State::cgroup_of(std::uint64_t cgroup_id) const {
  const auto found = places.find(cgroup_id);
  return found == places.end() ? std::string() : found->second.cgroup;
}

ArmedCgroup HostEnforcer::State::describe(const nw_workload& config, std::uint32_t layer) const {
  const ArmedWorkload* armed = layers[layer]->find(config.cgroup_id);
  if (armed == nullptr) armed = layers[layer]->find(config.template_id);
  return {.cgroup_id = config.cgroup_id,
          .cgroup = cgroup_of(config.cgroup_id),
          .workload_id = config.workload_id,
          .generation = config.generation,
          .layer = layer,
          .is_strict = (config.flags & NW_FLAG_STRICT) != 0,
          .is_template = (config.flags & NW_FLAG_TEMPLATE) != 0,
          .is_child = (config.flags & NW_FLAG_CHILD) != 0,
          .has_own_policy = (config.flags & NW_FLAG_OWN_POLICY) != 0,
          .template_id = config.template_id,
          .is_known = armed != nullptr && armed->image != nullptr,
          .image_hash = config.image_hash};
}

std::vector<Result<ArmedCgroup>> HostEnforcer::arm(const std::vector<ArmRequest>& requests) {
  const std::lock_guard lock(state_->mutex);
  State& state = *state_;
  std::vector<Result<ArmedCgroup>> results(requests.size(), not_armed());
  std::vector<Candidate> candidates;
  std::map<std::uint64_t, std::size_t> templates;  // of these requests: cgroup id -> index
  for (std::size_t i = 0; i < requests.size(); ++i) {
    auto cgroup = identify_cgroup(requests[i].cgroup_fd);
    if (!cgroup) {
      results[i] = tl::unexpected(cgroup.error());
    } else if (state.places.contains(cgroup->id)) {
      results[i] = fail(ErrorKind::kConflict, "the cgroup is armed already");
    } else {
      const bool is_template = requests[i].options.children == Children::kApart;
      if (is_template) templates.emplace(cgroup->id, i);
      candidates.push_back({i, ArmTarget{.cgroup_fd = requests[i].cgroup_fd,
                                         .cgroup = std::move(*cgroup),
                                         .image = requests[i].image,
                                         .trusted_netns = requests[i].options.trusted_netns,
                                         .strict = requests[i].options.strict,
                                         .is_template = is_template}});
    }
  }
  const auto template_of = [&](const CgroupIdentity& cgroup) -> const ArmedWorkload* {
    const Layer* layer = cgroup.ancestors.empty() ? nullptr : state.layer_of(cgroup.ancestors.front());
    const ArmedWorkload* parent = layer == nullptr ? nullptr : layer->find(cgroup.ancestors.front());
    return parent != nullptr && (parent->config.flags & NW_FLAG_TEMPLATE) != 0 ? parent : nullptr;
  };
  const auto waits_for_template = [&](const CgroupIdentity& cgroup) {
    return !cgroup.ancestors.empty() && templates.contains(cgroup.ancestors.front());
  };
  const auto arm_in = [&](std::uint32_t number, const std::vector<const Candidate*>& members, bool as_children) {
    const auto layer = state.open_layer(number);
    std::vector<ArmTarget> targets;
    for (const Candidate* member : members) targets.push_back(member->target);
    const auto armed = !layer        ? std::vector<Result<nw_workload>>(members.size(), tl::unexpected(layer.error()))
                       : as_children ? (*layer)->arm_children(targets)
                                     : (*layer)->arm(targets);
    for (std::size_t i = 0; i < members.size(); ++i) {
      const CgroupIdentity& cgroup = members[i]->target.cgroup;
      const std::size_t request = members[i]->request;
      if (!armed[i]) {
        if (!state.places.contains(cgroup.id)) state.nesting.remove(cgroup.id);
        results[request] = tl::unexpected(armed[i].error());
        continue;
      }
      state.place(cgroup.id, cgroup.ancestors, number,
                  path_in_hierarchy(state.cgroup_mount, members[i]->target.cgroup_fd));
      results[request] = state.describe(*armed[i], number);
    }
  };

  // Templates before their children, which need nothing but a row.
  for (const bool as_children : {false, true}) {
    std::map<std::uint32_t, std::vector<const Candidate*>> by_layer;
    std::set<std::uint64_t> seen;
    for (const Candidate& candidate : candidates) {
      const CgroupIdentity& cgroup = candidate.target.cgroup;
      const bool is_child = template_of(cgroup) != nullptr || (!as_children && waits_for_template(cgroup));
      if (is_child != as_children || state.places.contains(cgroup.id)) continue;
      if (!seen.insert(cgroup.id).second) {
        results[candidate.request] = fail(ErrorKind::kConflict, "the cgroup is asked for twice");
        continue;
      }
      const std::uint32_t layer = as_children ? state.places.at(cgroup.ancestors.front()).layer
                                              : state.nesting.free_layer(cgroup.id, cgroup.ancestors);
      if (layer >= kMostLayers) {
        results[candidate.request] = fail(
            ErrorKind::kLimit, "more than " + std::to_string(kMostLayers) + " workloads are nested in one another");
        continue;
      }
      if (!as_children) state.nesting.add(cgroup.id, cgroup.ancestors, layer);
      by_layer[layer].push_back(&candidate);
    }
    for (const auto& [layer, members] : by_layer) arm_in(layer, members, as_children);
  }
  return results;
}

Result<ArmedCgroup> HostEnforcer::replace(std::uint64_t cgroup_id, std::shared_ptr<const PolicyImage> image,
                                          bool strict) {
  const std::lock_guard lock(state_->mutex);
  Layer* layer = state_->layer_of(cgroup_id);
  if (layer == nullptr) return not_armed();
  const auto replaced = layer->replace(cgroup_id, image, strict);
  if (!replaced) return tl::unexpected(replaced.error());
  return state_->describe(*replaced, state_->places.at(cgroup_id).layer);
}

Result<void> HostEnforcer::set_strict(std::uint64_t cgroup_id, bool strict) {
  const std::lock_guard lock(state_->mutex);
  Layer* layer = state_->layer_of(cgroup_id);
  return layer == nullptr ? Result<void>(not_armed()) : layer->set_strict(cgroup_id, strict);
}

Result<void> HostEnforcer::deny_all(std::uint64_t cgroup_id) {
  const std::lock_guard lock(state_->mutex);
  Layer* layer = state_->layer_of(cgroup_id);
  return layer == nullptr ? Result<void>(not_armed()) : layer->deny_all(cgroup_id);
}

Result<void> HostEnforcer::recognise(std::uint64_t cgroup_id, const std::string& cgroup,
                                     std::shared_ptr<const PolicyImage> image) {
  const std::lock_guard lock(state_->mutex);
  Layer* layer = state_->layer_of(cgroup_id);
  if (layer == nullptr) return not_armed();
  state_->places.at(cgroup_id).cgroup = cgroup;
  return layer->recognise(cgroup_id, image);
}

Result<void> HostEnforcer::disarm(int cgroup_fd, std::uint64_t cgroup_id) {
  const std::lock_guard lock(state_->mutex);
  Layer* layer = state_->layer_of(cgroup_id);
  if (layer == nullptr) return not_armed();
  const bool is_template = (layer->find(cgroup_id)->config.flags & NW_FLAG_TEMPLATE) != 0;
  state_->unlist_as_deeper(cgroup_id);  // before its programs go
  if (auto done = layer->disarm(cgroup_fd, cgroup_id); !done) {
    state_->list_as_deeper(cgroup_id);
    return done;
  }
  state_->displace(cgroup_id);
  if (is_template) state_->forget_vanished_children();  // nobody goes by their rows any more
  return {};
}

void HostEnforcer::forget(std::uint64_t cgroup_id) {
  const std::lock_guard lock(state_->mutex);
  for (const auto& layer : state_->layers) layer->forget(cgroup_id);
  state_->displace(cgroup_id);
  state_->guarded.erase(cgroup_id);
}

Result<void> HostEnforcer::guard(int cgroup_fd, std::uint64_t cgroup_id) {
  const auto cgroup = identify_cgroup(cgroup_fd);
  if (!cgroup) return tl::unexpected(cgroup.error());
  if (cgroup->id != cgroup_id) return fail(ErrorKind::kInvalid, "the directory is of another cgroup");
  const std::lock_guard lock(state_->mutex);
  if (auto done = state_->layers.front()->guard(cgroup_fd, *cgroup); !done) return done;
  state_->guarded.insert_or_assign(cgroup_id, path_in_hierarchy(state_->cgroup_mount, cgroup_fd));
  return {};
}

Result<void> HostEnforcer::unguard(int cgroup_fd, std::uint64_t cgroup_id) {
  const std::lock_guard lock(state_->mutex);
  if (auto done = state_->layers.front()->unguard(cgroup_fd, cgroup_id); !done) return done;
  state_->guarded.erase(cgroup_id);
  return {};
}

std::map<std::uint64_t, std::string> HostEnforcer::guarded() const {
  const std::lock_guard lock(state_->mutex);
  return {state_->guarded.begin(), state_->guarded.end()};
}

Result<std::vector<ArmedCgroup>> HostEnforcer::armed() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<ArmedCgroup> all;
  for (std::uint32_t number = 0; number < state_->layers.size(); ++number) {
    const Layer& layer = *state_->layers[number];
    for (const auto& [id, armed] : layer.armed()) all.push_back(state_->describe(armed.config, number));
    for (const nw_workload& row : layer.children().list()) {
      if (layer.find(row.cgroup_id) == nullptr) all.push_back(state_->describe(row, number));
    }
  }
  return all;
}

std::optional<ArmedCgroup> HostEnforcer::find(std::uint64_t cgroup_id) const {
  const std::lock_guard lock(state_->mutex);
  for (std::uint32_t number = 0; number < state_->layers.size(); ++number) {
    if (const auto config = state_->layers[number]->find_config(cgroup_id)) return state_->describe(*config, number);
  }
  return std::nullopt;
}

}  // namespace namewall::bpf
