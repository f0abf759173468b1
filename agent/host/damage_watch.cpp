#include "agent/host/damage_watch.h"

#include <algorithm>

#include "agent/host/host_clock.h"

namespace namewall::agent {

void DamageWatch::tell(const bpf::Damage& damage) {
  parts_.diary.notice(damage.repaired ? Priority::kWarning : Priority::kError, "",
                      damage.repaired ? "damage_repaired" : "damage", damage.what);
  ChangeEntry entry;
  entry.action = ChangeAction::kRepair;
  entry.reason = damage.what;
  entry.new_generation = parts_.figures.generation;
  if (!damage.repaired) entry.result = "not repaired";
  parts_.diary.record(std::move(entry), nullptr);
}

void DamageWatch::tick() {
  const std::size_t rounds = kRound / kEach;
  const std::size_t budget = std::max<std::size_t>(16, parts_.registry.size() / rounds + 1);
  const auto found = parts_.enforcer.verify(budget);
  if (found.empty()) return;
  HostFigures& figures = parts_.figures;
  std::size_t told = 0;
  for (const bpf::Damage& damage : found) {
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
