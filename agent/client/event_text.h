// What `events` prints of one event, and `why` of a refusal. Pure; workloads' strings come out escaped.
#pragma once

#include <string>

#include "agent/client/screen.h"
#include "agent/host/host_view.h"

namespace namewall::agent {

// "github.com:443", "203.0.113.9:443 (github.com)"
std::string target_of(const EventView& event);
// Lines with their ends: what happened; indented below it what would permit it, and how many were left out before.
std::string event_text(const EventView& event, const Screen& screen);

}  // namespace namewall::agent
