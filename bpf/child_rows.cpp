#include "bpf/child_rows.h"

#include <bpf/bpf.h>

#include <cerrno>

namespace namewall::bpf {

namespace {

nw_child_key key_of(std::uint64_t cgroup_id, std::uint32_t prefix) {
  return {prefix,
          {static_cast<std::uint32_t>(cgroup_id), static_cast<std::uint32_t>(cgroup_id >> 32)},
          prefix == NW_OWN_PREFIX ? 1u : 0u};
}

Result<void> erase_key(int map_fd, const nw_child_key& key) {
  const int error = bpf_map_delete_elem(map_fd, &key);
  if (error < 0 && error != -ENOENT) return fail_errno(-error, "cannot remove the child's policy");
  return {};
}

}  // namespace

std::optional<nw_workload> ChildRows::find(std::uint64_t cgroup_id) const {
  nw_workload row{};
  const nw_child_key key = key_of(cgroup_id, NW_OWN_PREFIX);
  if (bpf_map_lookup_elem(children_fd_, &key, &row) < 0) return std::nullopt;
  return row;
}

std::vector<nw_workload> ChildRows::list() const {
  std::set<std::uint64_t> ids;
  nw_child_key key{};
  for (const nw_child_key* at = nullptr; bpf_map_get_next_key(children_fd_, at, &key) == 0; at = &key) {
    ids.insert(std::uint64_t{key.cgroup_id[1]} << 32 | key.cgroup_id[0]);
  }
  std::vector<nw_workload> rows;
  for (const std::uint64_t cgroup_id : ids) {
    if (const auto row = find(cgroup_id)) rows.push_back(*row);
  }
  return rows;
}

Result<void> ChildRows::write_own(const nw_workload& row) const {
  const nw_child_key key = key_of(row.cgroup_id, NW_OWN_PREFIX);
  if (const int error = bpf_map_update_elem(children_fd_, &key, &row, BPF_ANY); error < 0)
    return fail_errno(-error, "cannot write the child's policy");
  return {};
}

Result<void> ChildRows::erase_own(std::uint64_t cgroup_id) const {
  return erase_key(children_fd_, key_of(cgroup_id, NW_OWN_PREFIX));
}

Result<void> ChildRows::erase(std::uint64_t cgroup_id) const {
  if (auto done = erase_own(cgroup_id); !done) return done;
  return erase_key(children_fd_, key_of(cgroup_id, NW_CHILD_PREFIX));
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
