#include "bpf/child_rows.h"

#include <bpf/bpf.h>

#include <cerrno>

namespace namewall::bpf {

std::optional<nw_workload> ChildRows::find(std::uint64_t cgroup_id) const {
  nw_workload row{};
  if (bpf_map_lookup_elem(children_fd_, &cgroup_id, &row) < 0) return std::nullopt;
  return row;
}

std::vector<nw_workload> ChildRows::list() const {
  std::set<std::uint64_t> ids;  // the walk begins anew when its key is deleted meanwhile
  std::uint64_t id = 0;
  for (const std::uint64_t* at = nullptr; bpf_map_get_next_key(children_fd_, at, &id) == 0; at = &id) ids.insert(id);
  std::vector<nw_workload> rows;
  for (const std::uint64_t cgroup_id : ids) {
    if (const auto row = find(cgroup_id)) rows.push_back(*row);
  }
  return rows;
}

Result<void> ChildRows::write(const nw_workload& row) const {
  if (const int error = bpf_map_update_elem(children_fd_, &row.cgroup_id, &row, BPF_ANY); error < 0)
    return fail_errno(-error, "cannot write the child's policy");
  return {};
}

Result<void> ChildRows::erase(std::uint64_t cgroup_id) const {
  const int error = bpf_map_delete_elem(children_fd_, &cgroup_id);
  if (error < 0 && error != -ENOENT) return fail_errno(-error, "cannot remove the child's policy");
  return {};
}

Result<void> ChildRows::offer(const nw_spare& spare) {
  if (const int error = bpf_map_update_elem(spares_fd_, nullptr, &spare, BPF_ANY); error < 0)
    return fail_errno(-error, "cannot lay tables ready for children");
  offered_.insert(spare.slot);
  return {};
}

bool ChildRows::has_taken() {
  nw_spare spare{};
  const auto before = next_;
  next_ = bpf_map_lookup_elem(spares_fd_, nullptr, &spare) < 0 ? std::nullopt : std::optional(spare.slot);
  return next_ != before;
}

Result<void> ChildRows::adopt_offers() {
  nw_spare spare{};
  while (bpf_map_lookup_and_delete_elem(spares_fd_, nullptr, &spare) == 0) {
    const bool is_seen = offered_.contains(spare.slot);
    if (auto done = offer(spare); !done) return done;
    if (is_seen) break;
  }
  return {};
}

}  // namespace namewall::bpf
