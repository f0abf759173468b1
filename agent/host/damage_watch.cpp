#include "agent/host/damage_watch.h"

#include <algorithm>

#include "agent/host/host_clock.h"

namespace namewall::agent {

void DamageWatch::tell(const Damage& damage) {
  parts_.diary.notice(damage.repaired ? Priority::kWarning : Priority::kError, "",
                      damage.repaired ? "damage_repaired" : "damage", damage.what);
  ChangeEntry entry;
  entry.action = ChangeAction::kRepair;
  entry.reason = damage.what;
  entry.new_generation = parts_.figures.generation;
  if (!damage.repaired) entry.result = "not repaired";
  parts_.diary.record(std::move(entry), nullptr);
}

std::size_t DamageWatch::share_of_round(std::size_t workloads) { return workloads / (kRound / kEach) + 1; }

std::size_t DamageWatch::calm_share(std::size_t workloads, std::size_t a_second) {
  return std::min(share_of_round(workloads), a_second / (std::chrono::seconds(1) / kEach));
}

std::size_t DamageWatch::budget() {
  const std::size_t workloads = parts_.registry.size();
  if (hurried_ == 0) {
    const auto detached = parts_.enforcer.seems_detached();
    if (!detached) return share_of_round(workloads);
    if (!*detached) return calm_share(workloads);
    hurried_ = parts_.enforcer.begin_turn();
  }
  const std::size_t share = share_of_round(workloads);
  hurried_ -= std::min(hurried_, share);
  return share;
}

void DamageWatch::tick() {
  take(parts_.enforcer.verify(budget()));
  take(parts_.enforcer.verify_policies(calm_share(parts_.registry.size(), kPoliciesASecond)));
}

void DamageWatch::take(const std::vector<Damage>& found) {
  if (found.empty()) return;
  HostFigures& figures = parts_.figures;
  std::size_t told = 0;
  for (const Damage& damage : found) {
    if (!damage.repaired && !unrepaired_.insert(damage.what).second) continue;
    if (unrepaired_.size() > 1000) unrepaired_.clear();
    ++figures.damage_found;
    if (damage.repaired) {
      ++figures.damage_repaired;
      unrepaired_.erase(damage.what);
    }
    figures.last_damage = damage.what;
    figures.last_damage_at = rfc3339_milliseconds(utc_now());
    if (told++ < kToldAtOnce) tell(damage);
  }
  if (told > kToldAtOnce) {
    parts_.diary.notice(Priority::kWarning, "", "damage_repaired",
                        std::to_string(told - kToldAtOnce) + " more of the same");
  }
}

}  // namespace namewall::agent
