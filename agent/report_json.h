// The JSON forms of what `namewall run` reports: one line each, stable field names (docs/events.md). Pure. Strings that
// an attacker chose are escaped as for display (policy/escape.h) and then as JSON: the output is printable ASCII.
#pragma once

#include <string>

#include "agent/refusal_tally.h"
#include "agent/run_summary.h"
#include "policy/boot_time.h"
#include "policy/event.h"

namespace namewall::agent {

// `utc_at_boot`: nanoseconds of CLOCK_REALTIME minus those of CLOCK_BOOTTIME. `quic`: is_quic_attempt(event).
std::string event_to_json(const Event& event, const std::string& workload, Nanoseconds utc_at_boot, bool quic);

std::string summary_to_json(const RunSummary& summary, const RefusalTally& tally);

// "2026-11-21T14:02:11.123456Z" (RFC 3339)
std::string rfc3339_utc(Nanoseconds since_epoch);

}  // namespace namewall::agent
