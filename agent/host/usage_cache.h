// How much each workload uses: counters and live grants, read from the kernel in turn, so that a list of ten thousand
// workloads costs the loop no more than its budget.
#pragma once

#include <cstdint>
#include <map>

#include "agent/host/counter_totals.h"
#include "agent/host/host_parts.h"

namespace namewall::agent {

struct Usage {
  BootTime read_at;       // the counters
  BootTime grants_as_of;  // the number of grants
  std::uint64_t refusals = 0, lookups = 0, events_left_out = 0;
  std::uint32_t grants = 0;   // live
  std::uint64_t learned = 0;  // changes with every grant made or extended
  BootTime next_expiry = kNever;
  std::uint32_t workload_id = 0;
};

class UsageCache {
 public:
  static constexpr Nanoseconds kRound = std::chrono::seconds(60);  // every workload is read once in it, if they are
  static constexpr std::size_t kMostPerTick = 64;                  // few enough
  static constexpr Nanoseconds kFresh = std::chrono::milliseconds(500);
  // Where nobody asks: a table that changes is read no more often, for it may be large.
  static constexpr Nanoseconds kGrantsRound = std::chrono::seconds(10);

  UsageCache(HostParts& parts, CounterTotals& totals) : parts_(parts), totals_(totals) {}

  // Once a second.
  void tick(BootTime now);
  // Reads what is older than kFresh, oldest first, for at most `budget`.
  void refresh(BootTime now, Nanoseconds budget);
  Usage of(const Workload& workload, BootTime now);  // fresh
  Usage last_of(const Workload& workload) const;

 private:
  void sync();
  void read(std::uint64_t cgroup_id, Usage& usage, BootTime now, Nanoseconds grants_may_be_old);

  HostParts& parts_;
  CounterTotals& totals_;
  std::map<std::uint64_t, Usage> usages_;  // by cgroup id
  std::uint64_t cursor_ = 0;
  unsigned ticks_ = 0;
};

}  // namespace namewall::agent
