// Layer: who asks the DNS proxy.
#include <bpf/bpf.h>

#include <algorithm>

#include "bpf/layer.h"

namespace namewall::bpf {

std::optional<std::uint64_t> Layer::cgroup_of_slot(std::uint32_t slot) const {
  const auto is_of = [&](std::uint64_t cgroup_id) {
    const auto config = find_config(cgroup_id);
    return config && config->slot == slot && (config->flags & (NW_FLAG_TEMPLATE | NW_FLAG_POOLED)) == 0;
  };
  if (const auto seen = cgroups_of_slots_.find(slot); seen != cgroups_of_slots_.end() && is_of(seen->second))
    return seen->second;
  cgroups_of_slots_.erase(slot);
  const auto remember = [&](std::uint64_t cgroup_id) {
    cgroups_of_slots_.emplace(slot, cgroup_id);
    return std::optional(cgroup_id);
  };
  for (const auto& [id, armed] : armed_) {
    if (armed.config.slot == slot && is_of(id)) return remember(id);
  }
  if (child_addresses_ == 0) return std::nullopt;
  for (const nw_workload& row : children_.list()) {
    if (row.slot == slot && is_of(row.cgroup_id)) return remember(row.cgroup_id);
  }
  return std::nullopt;
}

Result<void> Layer::list_deeper(const nw_workload& workload) const {
  const nw_deeper deeper{
      .token = workload.token, .is_template = (workload.flags & NW_FLAG_TEMPLATE) != 0, .reserved = 0};
  if (const int error = bpf_map_update_elem(objects_.map("deeper_workloads"), &workload.cgroup_id, &deeper, BPF_ANY);
      error < 0)
    return fail_errno(-error, "cannot list the workload as one below");
  return {};
}

void Layer::unlist_deeper(std::uint64_t cgroup_id) const {
  bpf_map_delete_elem(objects_.map("deeper_workloads"), &cgroup_id);
}

}  // namespace namewall::bpf
