#include "bpf/nesting.h"

#include <set>

namespace namewall::bpf {

void Nesting::add(std::uint64_t cgroup_id, const std::vector<std::uint64_t>& ancestors, std::uint32_t layer) {
  remove(cgroup_id);
  for (const std::uint64_t above : ancestors) ++below_[above][layer];
  members_.emplace(cgroup_id, Member{layer, ancestors});
}

void Nesting::remove(std::uint64_t cgroup_id) {
  const auto found = members_.find(cgroup_id);
  if (found == members_.end()) return;
  for (const std::uint64_t above : found->second.ancestors) {
    const auto layers = below_.find(above);
    const auto count = layers->second.find(found->second.layer);
    if (--count->second == 0) layers->second.erase(count);
    if (layers->second.empty()) below_.erase(layers);
  }
  members_.erase(found);
}

const std::vector<std::uint64_t>* Nesting::ancestors_of(std::uint64_t cgroup_id) const {
  const auto found = members_.find(cgroup_id);
  return found == members_.end() ? nullptr : &found->second.ancestors;
}

std::uint32_t Nesting::free_layer(std::uint64_t cgroup_id, const std::vector<std::uint64_t>& ancestors) const {
  std::set<std::uint32_t> used;
  for (const std::uint64_t above : ancestors) {
    if (const auto member = members_.find(above); member != members_.end()) used.insert(member->second.layer);
  }
  if (const auto layers = below_.find(cgroup_id); layers != below_.end()) {
    for (const auto& [layer, count] : layers->second) used.insert(layer);
  }
  std::uint32_t layer = 0;
  while (used.contains(layer)) ++layer;
  return layer;
}

}  // namespace namewall::bpf
