// One event as the daemon keeps it: as it came, small, with what it takes to tell it later. Views are built when
// somebody asks, so that a flood costs no text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "agent/host/held_policy.h"
#include "agent/host/host.h"
#include "policy/event.h"

namespace namewall::agent {

struct KeptEvent {
  std::uint64_t sequence = 0;
  Nanoseconds utc{};  // since the epoch
  std::string workload;
  HeldPolicyPtr policy;                 // in force when it came; nullptr: unknown
  Event event;                          // without the packet
  bool is_notice = false;               // of the daemon itself: `event` says nothing
  std::string notice, notice_sentence;  // code, sentence
};

using KeptEventPtr = std::shared_ptr<const KeptEvent>;

EventView view_of(const KeptEvent& kept);

// Whether the filter lets it through; `since_s` is not looked at.
bool matches(const EventFilter& filter, const KeptEvent& kept);

// Whether the same attempt may go better later although nobody changes the policy.
bool can_retry(Reason reason);

// One line for lists: "tcp 203.0.113.9:443 (cdn.example): no rule names it". Raw as the view is.
std::string line_of(const KeptEvent& kept);

// "2026-11-21T14:02:11.123Z"
std::string rfc3339_milliseconds(Nanoseconds utc);

}  // namespace namewall::agent
