#include "agent/proxy/workload_ledger.h"

#include <utility>

namespace namewall::agent {

bool EventRate::allows(BootTime now) {
  const std::int64_t window = now.since_boot.count() >> 30;
  if (std::exchange(window_, window) != window) count_ = 0;
  if (count_ < kPerWindow) return ++count_, true;
  ++left_out_;
  return false;
}

std::uint64_t EventRate::take_left_out() { return std::exchange(left_out_, 0); }

std::uint32_t WorkloadLedger::find(std::uint64_t cgroup_id) const {
  return index_.find(hash_(cgroup_id), [&](std::uint32_t at) { return accounts_[at].cgroup_id == cgroup_id; });
}

std::uint32_t WorkloadLedger::account_of(std::uint64_t cgroup_id) {
  std::uint32_t number = find(cgroup_id);
  if (number == HashIndex::kNone) {
    number = accounts_.take();
    accounts_[number] = {};
    accounts_[number].cgroup_id = cgroup_id;
    accounts_[number].is_open = true;
    index_.insert(hash_(cgroup_id), number);
  }
  return number;
}

std::uint32_t WorkloadLedger::live_account_of(std::uint64_t cgroup_id) {
  const std::uint32_t number = account_of(cgroup_id);
  accounts_[number].is_forgotten = false;
  return number;
}

void WorkloadLedger::forget(std::uint64_t cgroup_id) {
  const std::uint32_t number = find(cgroup_id);
  if (number != HashIndex::kNone) accounts_[number].is_forgotten = true;
}

void WorkloadLedger::sweep(BootTime now) {
  for (const std::uint32_t number : all()) {
    WorkloadAccount& account = accounts_[number];
    if (!account.is_forgotten || !account.bounds.is_at_rest(now)) continue;
    index_.erase(hash_(account.cgroup_id), number);
    account = {};
    accounts_.give_back(number);
  }
}

std::vector<std::uint32_t> WorkloadLedger::all() const {
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t number = 0; number < accounts_.end(); ++number) {
    if (accounts_[number].is_open) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace namewall::agent
