#include "agent/host/usage_cache.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

#include "agent/host/host_clock.h"

namespace namewall::agent {
namespace {

std::uint64_t counter(const Counters& counters, std::string_view name) {
  for (const auto& [counter_name, value] : counters.counters) {
    if (counter_name == name) return value;
  }
  return 0;
}

}  // namespace

void UsageCache::sync() {
  parts_.registry.each([&](const Workload& workload) {
    if (workload.is_armed) usages_.try_emplace(workload.cgroup_id);
  });
  std::erase_if(usages_, [&](const auto& entry) {
    if (parts_.registry.find_by_id(entry.first) != nullptr) return false;
    if (entry.second.workload_id != 0) totals_.end(entry.second.workload_id);
    return true;
  });
}

void UsageCache::read(std::uint64_t cgroup_id, Usage& usage, BootTime now, Nanoseconds grants_may_be_old) {
  const Workload* workload = parts_.registry.find_by_id(cgroup_id);
  if (workload == nullptr) return;
  const bool is_first = usage.read_at == BootTime{};
  usage.read_at = now;
  const auto counters = parts_.enforcer.read_counters(cgroup_id);
  if (!counters) return;
  usage.workload_id = workload->workload_id;
  const std::string policy = workload->policy ? workload->policy->name() : "";
  if (is_first && workload->origin == WorkloadOrigin::kAdopted) {
    totals_.adopt(usage.workload_id, policy, *counters);
  } else {
    totals_.record(usage.workload_id, policy, *counters);
  }
  usage.refusals = std::accumulate(counters->by_reason.begin(), counters->by_reason.end(), std::uint64_t{0});
  usage.lookups = counter(*counters, "questions");
  usage.events_left_out = counter(*counters, "events_limited") + counter(*counters, "events_lost");
  if (!is_first && now - usage.grants_as_of < grants_may_be_old) return;
  usage.grants_as_of = now;
  const std::uint64_t learned = counter(*counters, "learned") + counter(*counters, "refreshed");
  if (!is_first && learned == usage.learned && now < usage.next_expiry) return;
  usage.learned = learned;
  usage.grants = 0;
  usage.next_expiry = kNever;
  const auto grants = parts_.enforcer.read_grants(cgroup_id);
  if (!grants) return;
  for (const GrantRecord& record : *grants) {
    if (!record.grant.is_live(now)) continue;
    ++usage.grants;
    usage.next_expiry = std::min(usage.next_expiry, record.grant.deadline);
  }
}

void UsageCache::tick(BootTime now) {
  if (ticks_++ % 10 == 0) sync();
  const auto seconds = static_cast<std::size_t>(std::chrono::duration_cast<std::chrono::seconds>(kRound).count());
  const std::size_t share = std::min((usages_.size() + seconds - 1) / seconds, kMostPerTick);
  for (std::size_t i = 0; i < share; ++i) {
    auto next = usages_.upper_bound(cursor_);
    if (next == usages_.end()) next = usages_.begin();
    if (next == usages_.end()) return;
    cursor_ = next->first;
    read(next->first, next->second, now, kGrantsRound);
  }
}

void UsageCache::refresh(BootTime now, Nanoseconds budget) {
  sync();
  std::vector<std::pair<BootTime, std::uint64_t>> old;
  for (const auto& [id, usage] : usages_) {
    if (now - usage.grants_as_of >= kFresh) old.emplace_back(usage.grants_as_of, id);
  }
  std::sort(old.begin(), old.end());
  for (const auto& [read_at, id] : old) {
    read(id, usages_[id], now, Nanoseconds::zero());
    if (boot_now() - now > budget) return;
  }
}

Usage UsageCache::of(const Workload& workload, BootTime now) {
  Usage& usage = usages_[workload.cgroup_id];
  read(workload.cgroup_id, usage, now, Nanoseconds::zero());
  return usage;
}

Usage UsageCache::last_of(const Workload& workload) const {
  const auto found = usages_.find(workload.cgroup_id);
  return found == usages_.end() ? Usage{} : found->second;
}

}  // namespace namewall::agent
