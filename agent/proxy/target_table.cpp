#include "agent/proxy/target_table.h"

namespace namewall::agent {

std::uint64_t TargetTable::hash_of(const UpstreamTarget& target) const {
  return hash_(target.resolver.address.bytes(), target.netns_cookie << 16 ^ target.resolver.port.number);
}

std::uint32_t TargetTable::use(const UpstreamTarget& target, BootTime now) {
  const std::uint64_t hash = hash_of(target);
  std::uint32_t number = index_.find(hash, [&](std::uint32_t at) { return entries_[at].target == target; });
  if (number == HashIndex::kNone) {
    number = entries_.take();
    entries_[number] = {target, ++last_serial_, 0, now};
    index_.insert(hash, number);
  }
  ++entries_[number].uses;
  entries_[number].named = now;
  return number;
}

void TargetTable::sweep(BootTime now) {
  for (std::uint32_t number = 0; number < entries_.end(); ++number) {
    Entry& entry = entries_[number];
    if (entry.serial == 0 || entry.uses != 0 || now - entry.named < std::chrono::minutes(10)) continue;
    index_.erase(hash_of(entry.target), number);
    entry = {};
    entries_.give_back(number);
  }
}

}  // namespace namewall::agent
