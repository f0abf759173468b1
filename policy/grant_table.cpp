#include "policy/grant_table.h"

#include <algorithm>
#include <iterator>

#include "policy/special_use.h"

namespace namewall {

void GrantTable::list(const Key& key, const Grant& grant, BootTime now) {
  (grant.is_live(now) ? live_ : remembered_).emplace(grant.deadline, key);
}

void GrantTable::unlist(const Key& key, const Grant& grant) {
  const std::pair entry(grant.deadline, key);
  if (live_.erase(entry) == 0) remembered_.erase(entry);
}

void GrantTable::age(BootTime now) {
  if (now < aged_to_) {  // a caller whose clock stands still lives a little earlier than another
    for (auto at = remembered_.end(); at != remembered_.begin() && std::prev(at)->first > now;) {
      --at;
      if (!grants_.at(at->second).grant.is_live(now)) continue;
      live_.insert(*at);
      at = remembered_.erase(at);
    }
  }
  while (!live_.empty() && live_.begin()->first <= now) remembered_.insert(live_.extract(live_.begin()));
  aged_to_ = now;
}

LearnOutcome GrantTable::learn(const std::vector<Grant>& grants, BootTime now,
                               const std::optional<Replacement>& replaced) {
  age(now);
  std::map<Key, Grant> changed;
  for (const Grant& grant : grants) {
    const Key key(grant.address, grant.name);
    const auto [at, is_first] = changed.try_emplace(key, grant);
    Grant& entry = at->second;
    const auto known = is_first ? grants_.find(key) : grants_.end();
    if (known != grants_.end()) entry = known->second.grant;
    if (!grant.is_live(now) && entry.is_live(now)) continue;
    const bool has_end = entry.is_live(now) && entry.deadline != kNever;
    const BootTime later = has_end ? std::max(entry.deadline, grant.deadline) : grant.deadline;
    entry = grant;
    entry.deadline = later;
  }

  if (replaced) {
    for (const auto& [key, known] : grants_) {
      const Grant& entry = known.grant;
      if (!entry.is_live(now) || entry.name != replaced->name) continue;
      if (entry.address.is_v4() != (replaced->family == 4) || changed.contains(key)) continue;
      changed.emplace(key, entry).first->second.deadline = now;
    }
  }

  std::size_t live = live_.size();
  for (const auto& [key, entry] : changed) {
    const auto known = grants_.find(key);
    const bool was_live = known != grants_.end() && known->second.grant.is_live(now);
    if (entry.is_live(now) && !was_live) ++live;
    if (!entry.is_live(now) && was_live) --live;
  }
  if (live > max_addresses_) return LearnOutcome::kGrantsFull;

  for (auto& [key, entry] : changed) {
    const auto [at, is_new] = grants_.try_emplace(key, Timed{entry, now, now});
    if (!is_new) unlist(key, at->second.grant);
    list(key, entry, now);
    if (is_new) continue;
    Timed& known = at->second;
    if (!known.grant.is_live(now)) known.learned = known.renewed = now;
    if (entry.deadline > known.grant.deadline) known.renewed = now;
    known.grant = std::move(entry);
  }
  forget_beyond_bound();
  const bool teaches =
      std::any_of(grants.begin(), grants.end(), [now](const Grant& grant) { return grant.is_live(now); });
  return teaches ? LearnOutcome::kLearned : LearnOutcome::kTaughtNothing;
}

void GrantTable::forget_beyond_bound() {
  while (grants_.size() > max_addresses_ && !remembered_.empty()) {
    grants_.erase(remembered_.begin()->second);
    remembered_.erase(remembered_.begin());
  }
}

std::vector<Grant> GrantTable::find(const Address& address, BootTime now) const {
  std::vector<Grant> found;
  const Key first(address, DomainName::from_normal(""));
  for (auto at = grants_.lower_bound(first); at != grants_.end() && at->first.first == address; ++at) {
    found.push_back(at->second.grant);
  }
  std::stable_partition(found.begin(), found.end(), [now](const Grant& grant) { return grant.is_live(now); });
  return found;
}

void GrantTable::rejudge(const PolicyImage& image) {
  for (auto& [key, known] : grants_) {
    Grant& entry = known.grant;
    if (entry.note != NW_REASON_NONE) continue;
    const NameDecision decision = decide_name(image, entry.name);
    // Only an A record's private address was ever granted as such: what AAAA forms carry is kForbidden.
    const bool is_private = classify_address(entry.address, false) == SpecialUse::kPrivate;
    entry.ports = (is_private ? decision.allow_private : decision.allow) & kAllPorts;
  }
}

std::size_t GrantTable::live_count(BootTime now) const {
  if (now == aged_to_) return live_.size();
  return static_cast<std::size_t>(std::count_if(grants_.begin(), grants_.end(),
                                                [now](const auto& entry) { return entry.second.grant.is_live(now); }));
}

std::vector<Grant> GrantTable::all() const {
  std::vector<Grant> grants;
  for (const auto& [key, entry] : grants_) grants.push_back(entry.grant);
  return grants;
}

std::vector<GrantTable::Timed> GrantTable::all_timed() const {
  std::vector<Timed> grants;
  grants.reserve(grants_.size());
  for (const auto& [key, entry] : grants_) grants.push_back(entry);
  return grants;
}

}  // namespace namewall
