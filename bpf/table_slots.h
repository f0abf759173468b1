// The slots of one layer: which have tables published for the programs, and whose they are.
//
// A slot is bare (no tables), spare (empty tables, published), taken, or used (given back, its tables still hold what a
// workload learned). Publishing and clearing wait for RCU, so slots are prepared many at a time.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "bpf/pin_directory.h"
#include "bpf/workload_tables.h"

namespace namewall::bpf {

class TableSlots {
 public:
  struct Maps {
    int grants, names, stats;
  };
  // Tables are pinned in `folder` of the directory; without one they live as long as they are published.
  TableSlots(Maps maps, std::uint32_t capacity, const PinDirectory* pins, std::string folder);

  // Spare slots for tables of these sizes (addresses); those that are missing are made, with one wait for all. An error
  // for those that found no room.
  std::vector<Result<std::uint32_t>> take(const std::vector<std::uint32_t>& max_addresses);
  void give_back(std::uint32_t slot);

  // nullptr: the slot has none, or they could not be opened.
  const WorkloadTables* tables(std::uint32_t slot) const;
  std::uint32_t spare_count(std::uint32_t max_addresses) const;
  // The sizes asked for, the most recent first.
  const std::vector<std::uint32_t>& recent_sizes() const { return recent_sizes_; }

  // For a process that comes later: the slots in use with the tables of their pins, everything else is cleared.
  Result<void> adopt(const std::set<std::uint32_t>& in_use);

  // Preparing in three steps, so that only the first and the last need the caller's lock; the second waits for RCU.
  struct Work {
    struct Item {
      std::uint32_t slot = 0;
      std::uint32_t max_addresses = 0;
      WorkloadTables tables;
    };
    std::vector<std::uint32_t> clear;
    std::vector<Item> make;
    bool is_empty() const { return clear.empty() && make.empty(); }
  };
  // Makes so many spare ones more of each size (addresses -> count), as far as there is room.
  Work plan(const std::map<std::uint32_t, std::uint32_t>& wanted, bool clear_used);
  Result<void> carry_out(Work& work) const;
  void finish(Work work, bool is_done);

  // Pins what is not intact of a slot; true when something was not.
  Result<bool> mend_pins(std::uint32_t slot) const;
  // The next `count` slots in turn, spare ones and those of children that nobody armed too; how many were not intact.
  Result<std::size_t> mend_next_pins(std::size_t count);
  Result<void> pin_everything() const;

 private:
  std::string pin_of(std::uint32_t slot, const char* what) const;
  Result<void> make_tables(Work::Item& item) const;
  Result<void> publish(const std::vector<Work::Item>& items) const;
  Result<void> publish(const std::vector<std::uint32_t>& slots, const std::vector<int>& grants,
                       const std::vector<int>& names) const;
  Result<void> clear(const std::vector<std::uint32_t>& slots) const;
  void remember_size(std::uint32_t max_addresses);

  Maps maps_;
  const PinDirectory* pins_;
  std::string folder_;
  std::vector<std::uint32_t> bare_;                            // the next one last
  std::map<std::uint32_t, std::vector<std::uint32_t>> spare_;  // bucket count -> slots
  std::vector<std::uint32_t> used_;
  std::map<std::uint32_t, WorkloadTables> tables_;  // of spare, taken and used slots
  std::vector<std::uint32_t> recent_sizes_;
  std::uint32_t next_to_mend_ = 0;
};

}  // namespace namewall::bpf
