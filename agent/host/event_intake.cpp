#include "agent/host/event_intake.h"

#include <utility>

#include "agent/host/host_clock.h"
#include "agent/refusal_answer.h"

namespace namewall::agent {
namespace {

constexpr Nanoseconds kMeetingInterval = std::chrono::seconds(1);

}  // namespace

Workload* EventIntake::find_workload(std::uint64_t cgroup_id) {
  if (Workload* known = parts_.registry.find_by_id(cgroup_id)) return known;
  const BootTime now = boot_now();
  if (now < next_meeting_) return nullptr;
  next_meeting_ = now + kMeetingInterval;
  reconciler_.meet_children();
  return parts_.registry.find_by_id(cgroup_id);
}

void EventIntake::take_one(const Event& event, BootTime now, Nanoseconds utc_at_boot) {
  if (proofs_.is_own(event)) return;
  Workload* workload = find_workload(event.cgroup_id);
  if (wants_answer(event)) {
    const bool has_policy = workload != nullptr && workload->policy;
    answers_.answer(event, words_for(event, has_policy ? workload->policy->image().get() : nullptr));
  }
  if (event.reason == NW_REASON_NO_PROXY_IN_NETNS) no_proxy_(event);
  KeptEvent kept;
  kept.utc = event.time.since_boot + utc_at_boot;
  kept.event = event;
  if (workload != nullptr) {
    kept.workload = workload->name;
    kept.policy = workload->policy;
    workload->last_refusal = line_of(kept);
    workload->last_refusal_at = rfc3339_milliseconds(kept.utc);
  }
  parts_.diary.refusal(kept, now);
  parts_.hub.add(std::move(kept));
}

void EventIntake::add(const Event& event) { take_one(event, boot_now(), utc_at_boot()); }

bool EventIntake::take() {
  const BootTime now = boot_now();
  const Nanoseconds at_boot = utc_at_boot();
  const auto count =
      parts_.enforcer.consume_events(kPerTurn, [&](const Event& event) { take_one(event, now, at_boot); });
  if (!count) {
    if (!has_failed_) parts_.diary.log(Priority::kError, count.error().message());
    has_failed_ = true;
    return false;
  }
  has_failed_ = false;
  return *count >= kPerTurn;
}

}  // namespace namewall::agent
