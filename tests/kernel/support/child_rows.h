// What a daemon does for the children of templates, with raw map access: spare tables, rows of their own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bpf/abi.h"
#include "bpf/enforcer.h"
#include "bpf/workload_tables.h"
#include "policy/policy_image.h"
#include "tests/kernel/support/throwaway_cgroup.h"

namespace namewall::kernel_tests {

std::uint64_t id_of(const ThrowawayCgroup& cgroup);

class ChildRows {
 public:
  explicit ChildRows(const bpf::Enforcer& enforcer) : enforcer_(enforcer) {}

  // Tables for `count` children in the slots from `first_slot` on; workload ids from 1000 on.
  void add_spares(std::uint32_t first_slot, std::uint32_t count, std::uint32_t max_addresses);
  std::uint32_t take_spares();  // takes what is left; how many
  // The row that a program finds.
  std::optional<nw_workload> find(std::uint64_t cgroup_id) const;
  // Gives a child that has a row a policy of its own.
  void write_own(std::uint64_t cgroup_id, const PolicyImage& image);
  void remove_own(std::uint64_t cgroup_id);

 private:
  const bpf::Enforcer& enforcer_;
  std::vector<bpf::WorkloadTables> tables_;
  std::uint32_t next_workload_id_ = 1000, next_policy_id_ = 100'000;
};

}  // namespace namewall::kernel_tests
