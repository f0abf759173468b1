#include "tests/kernel/support/child_rows.h"

#include <gtest/gtest.h>

#include "bpf/cgroup_handle.h"
#include "bpf/map_access.h"
#include "bpf/rule_entries.h"

namespace namewall::kernel_tests {
namespace {

nw_child_key key_of(std::uint64_t cgroup_id, std::uint32_t prefix) {
  return {prefix, {static_cast<__u32>(cgroup_id), static_cast<__u32>(cgroup_id >> 32)}, prefix == NW_OWN_PREFIX};
}

template <typename Key, typename Value>
void write_all(const bpf::Enforcer& enforcer, const char* map, const std::vector<Key>& keys,
               const std::vector<Value>& values) {
  const auto done = bpf::update_all(enforcer.map_fd(map), map, keys, values);
  if (!done) ADD_FAILURE() << done.error().message();
}

}  // namespace

std::uint64_t id_of(const ThrowawayCgroup& cgroup) {
  const auto identity = bpf::identify_cgroup(cgroup.fd());
  if (identity) return identity->id;
  ADD_FAILURE() << identity.error().message();
  return 0;
}

void ChildRows::add_spares(std::uint32_t first_slot, std::uint32_t count, std::uint32_t max_addresses) {
  std::vector<__u32> slots;
  std::vector<int> grants, names;
  std::vector<nw_spare> spares;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto tables = bpf::WorkloadTables::create(max_addresses);
    if (!tables) {
      ADD_FAILURE() << tables.error().message();
      return;
    }
    slots.push_back(first_slot + i);
    grants.push_back(tables->grants_fd());
    names.push_back(tables->names_fd());
    spares.push_back({first_slot + i, next_workload_id_++, tables->bucket_count(), 0, 0x9876543210ULL + i});
    tables_.push_back(std::move(*tables));
  }
  write_all(enforcer_, "grants", slots, grants);
  write_all(enforcer_, "names", slots, names);
  for (const nw_spare& spare : spares) {
    if (bpf_map_update_elem(enforcer_.map_fd("spare_tables"), nullptr, &spare, 0) != 0) ADD_FAILURE() << "no room";
  }
}

std::uint32_t ChildRows::take_spares() {
  nw_spare spare;
  std::uint32_t count = 0;
  while (bpf_map_lookup_and_delete_elem(enforcer_.map_fd("spare_tables"), nullptr, &spare) == 0) ++count;
  return count;
}

std::optional<nw_workload> ChildRows::find(std::uint64_t cgroup_id) const {
  const nw_child_key key = key_of(cgroup_id, NW_OWN_PREFIX);
  nw_workload row;
  if (bpf_map_lookup_elem(enforcer_.map_fd("children"), &key, &row) != 0) return std::nullopt;
  return row;
}

void ChildRows::write_own(std::uint64_t cgroup_id, const PolicyImage& image) {
  auto row = find(cgroup_id);
  ASSERT_TRUE(row) << "the child has no row yet";
  const std::uint32_t policy_id = next_policy_id_++;
  const auto entries = bpf::make_rule_entries(image, policy_id);
  write_all(enforcer_, "name_rules", entries.names.keys, entries.names.values);
  write_all(enforcer_, "glob_rules", entries.globs.keys, entries.globs.values);
  write_all(enforcer_, "address_rules", entries.addresses.keys, entries.addresses.values);
  const std::uint32_t of_child = row->flags & NW_FLAG_POOLED;
  bpf::describe_policy(image, *row);
  row->flags |= of_child | NW_FLAG_CHILD | NW_FLAG_OWN_POLICY;
  row->policy_id = policy_id;
  row->generation = policy_id;
  const nw_child_key key = key_of(cgroup_id, NW_OWN_PREFIX);
  ASSERT_EQ(bpf_map_update_elem(enforcer_.map_fd("children"), &key, &*row, BPF_ANY), 0);
}

void ChildRows::remove_own(std::uint64_t cgroup_id) {
  const nw_child_key key = key_of(cgroup_id, NW_OWN_PREFIX);
  EXPECT_EQ(bpf_map_delete_elem(enforcer_.map_fd("children"), &key), 0);
}

}  // namespace namewall::kernel_tests
