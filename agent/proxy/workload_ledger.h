// What the proxy keeps of each workload that has asked: its bounds, its figures, its waiting questions.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/proxy/asker_bounds.h"
#include "agent/proxy/hash_index.h"
#include "agent/proxy/keyed_hash.h"
#include "agent/proxy/proxy_core.h"
#include "agent/proxy/slab.h"

namespace namewall::agent {

// Events of one workload, as many in a window as the kernel reports (NW_EVENTS_PER_WINDOW of bpf/abi.h).
class EventRate {
 public:
  static constexpr std::uint32_t kPerWindow = 256;
  // Whether one may go out now; else it is counted as left out.
  bool allows(BootTime now);
  std::uint64_t take_left_out();

 private:
  std::int64_t window_ = 0;
  std::uint32_t count_ = 0;
  std::uint64_t left_out_ = 0;
};

struct WorkloadAccount {
  std::uint64_t cgroup_id = 0;
  AskerBounds bounds;
  ProxyFigures figures;  // in_flight and waiting kept up to date, cached_bytes unused
  EventRate events;
  std::size_t bytes = 0;      // of its unanswered questions
  std::uint32_t flights = 0;  // that its questions began
  // Questions in turn (turn_queue.h).
  std::uint32_t first_waiting = HashIndex::kNone, last_waiting = HashIndex::kNone;
  std::uint32_t next_in_turn = HashIndex::kNone;
  bool is_open = false;
  bool is_forgotten = false;
};

class WorkloadLedger {
 public:
  explicit WorkloadLedger(KeyedHash hash) : hash_(hash) {}

  // Opened where there is none.
  std::uint32_t account_of(std::uint64_t cgroup_id);
  // The same for a workload that is there: one that asks.
  std::uint32_t live_account_of(std::uint64_t cgroup_id);
  WorkloadAccount& operator[](std::uint32_t number) { return accounts_[number]; }
  const WorkloadAccount& operator[](std::uint32_t number) const { return accounts_[number]; }
  // The workload is gone: to be closed by sweep() once it is at rest, unless it asks again.
  void forget(std::uint64_t cgroup_id);
  void sweep(BootTime now);
  std::vector<std::uint32_t> all() const;

 private:
  std::uint32_t find(std::uint64_t cgroup_id) const;

  KeyedHash hash_;
  HashIndex index_;
  Slab<WorkloadAccount> accounts_;
};

}  // namespace namewall::agent
