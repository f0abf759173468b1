// HostEnforcer: the DNS proxy's places, and who asks it.
#include <algorithm>

#include "bpf/host_state.h"

namespace namewall::bpf {

// An entry that finds no room leaves the token of the workload above: its policy alone judges such questions.
void HostEnforcer::State::list_as_deeper(std::uint64_t cgroup_id) {
  const auto found = places.find(cgroup_id);
  if (found == places.end() || !found->second.has_programs) return;
  const ArmedWorkload* armed = layers[found->second.layer]->find(cgroup_id);
  for (std::uint32_t number = 0; armed != nullptr && number < layers.size(); ++number) {
    if (number != found->second.layer) (void)layers[number]->list_deeper(armed->config);
  }
}

void HostEnforcer::State::unlist_as_deeper(std::uint64_t cgroup_id) {
  for (const auto& layer : layers) layer->unlist_deeper(cgroup_id);
}

std::optional<nw_workload> HostEnforcer::State::find_config(std::uint64_t cgroup_id) const {
  if (const Layer* layer = layer_of(cgroup_id)) return layer->find_config(cgroup_id);
  for (const auto& layer : layers) {
    if (auto config = layer->find_config(cgroup_id)) return config;
  }
  return std::nullopt;
}

std::vector<std::uint64_t> HostEnforcer::State::levels_of(std::uint64_t cgroup_id) const {
  const auto config = find_config(cgroup_id);
  if (!config || (config->flags & NW_FLAG_TEMPLATE) != 0) return {};
  std::vector<std::uint64_t> chain{cgroup_id};  // of all cgroups on the way up, armed or not
  const std::vector<std::uint64_t>* above = nesting.ancestors_of(cgroup_id);
  if (above == nullptr) {  // a child that the kernel met
    chain.push_back(config->template_id);
    above = nesting.ancestors_of(config->template_id);
  }
  if (above != nullptr) chain.insert(chain.end(), above->begin(), above->end());
  std::vector<std::uint64_t> levels{cgroup_id};
  for (std::size_t i = 1; i < chain.size(); ++i) {
    const Layer* layer = layer_of(chain[i]);
    const ArmedWorkload* armed = layer == nullptr ? nullptr : layer->find(chain[i]);
    if (armed == nullptr) continue;
    const bool is_template = (armed->config.flags & NW_FLAG_TEMPLATE) != 0;
    const std::uint64_t level = is_template ? chain[i - 1] : chain[i];
    if (levels.back() != level) levels.push_back(level);
  }
  return levels;
}

Result<void> HostEnforcer::add_proxy_place(const ProxyPlace& place) {
  const std::lock_guard lock(state_->mutex);
  for (const auto& layer : state_->layers) {
    if (auto done = layer->proxy_places().add(place); !done) return done;
  }
  return {};
}

Result<void> HostEnforcer::remove_proxy_place(const ProxyPlace& place) {
  const std::lock_guard lock(state_->mutex);
  Result<void> result;
  for (const auto& layer : state_->layers) {
    if (auto done = layer->proxy_places().remove(place); !done) result = std::move(done);
  }
  return result;
}

std::vector<ProxyPlace> HostEnforcer::proxy_places() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<ProxyPlace> places;
  for (const auto& layer : state_->layers) {
    for (const ProxyPlace& place : layer->proxy_places().list()) {
      if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(place);
    }
  }
  return places;
}

std::optional<std::uint64_t> HostEnforcer::cgroup_of_token(AskerToken token) const {
  const std::lock_guard lock(state_->mutex);
  if (token == 0 || AskerTokens::layer_of(token) >= state_->layers.size()) return std::nullopt;
  return state_->layers[AskerTokens::layer_of(token)]->cgroup_of_slot(AskerTokens::slot_of(token));
}

std::optional<std::uint64_t> HostEnforcer::take_asker(const AskerKey& key) {
  const std::lock_guard lock(state_->mutex);
  // Each level wrote the question down: the innermost is the one that the others are above of.
  std::vector<std::uint64_t> found;
  for (const auto& layer : state_->layers) {
    const auto cgroup = layer->askers().take(key);
    if (cgroup && layer->find_config(*cgroup)) found.push_back(*cgroup);
  }
  for (const std::uint64_t cgroup : found) {
    const std::vector<std::uint64_t> levels = state_->levels_of(cgroup);
    const auto is_level = [&](std::uint64_t id) { return std::find(levels.begin(), levels.end(), id) != levels.end(); };
    if (std::all_of(found.begin(), found.end(), is_level)) return cgroup;
  }
  return std::nullopt;
}

std::vector<std::uint64_t> HostEnforcer::levels_of(std::uint64_t cgroup_id) const {
  const std::lock_guard lock(state_->mutex);
  return state_->levels_of(cgroup_id);
}

}  // namespace namewall::bpf
