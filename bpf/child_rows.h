// The children of one layer's templates: their rows in the kernel, and the tables that lie ready for those that appear.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "bpf/abi.h"
#include "policy/result.h"

namespace namewall::bpf {

class ChildRows {
 public:
  ChildRows(int children_fd, int spares_fd) : children_fd_(children_fd), spares_fd_(spares_fd) {}

  // The row that the programs go by: the child's own policy, or else the template's.
  std::optional<nw_workload> find(std::uint64_t cgroup_id) const;
  std::vector<nw_workload> list() const;  // one for each child
  Result<void> write_own(const nw_workload& row) const;
  // None is no error.
  Result<void> erase_own(std::uint64_t cgroup_id) const;
  Result<void> erase(std::uint64_t cgroup_id) const;  // both rows

  // Lays tables ready; the kernel takes the oldest. Never in the last place: the kernel may have to put one back.
  Result<void> offer(const nw_spare& spare);
  const std::set<std::uint32_t>& offered() const { return offered_; }  // slots that the kernel may take, or just has
  // Whether the kernel has taken some since the last call.
  bool has_taken();
  void note_taken(std::uint32_t slot) { offered_.erase(slot); }
  // What an earlier process laid ready. A child that appears meanwhile still finds all but one of them.
  Result<void> adopt_offers();

 private:
  int children_fd_, spares_fd_;
  std::set<std::uint32_t> offered_;
  std::optional<std::uint32_t> next_;  // slot, when last looked at
};

}  // namespace namewall::bpf
