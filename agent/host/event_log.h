// Events of workloads on their way into the log: how they read, what `log_names` lets through, and how a flood is
// summarised. Pure: entries come back as values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/host/flood_gate.h"
#include "agent/host/host_view.h"
#include "agent/host/journal_log.h"

namespace namewall::agent {

// host.toml's `log_names`: of which events names, addresses, rules and permits may stand in the log.
enum class LogNames { kAll, kRefused, kNone };
std::optional<LogNames> parse_log_names(std::string_view text);  // "all", "refused", "none"

// kRefused shows them of refusals, withheld answers and audit events, not of other kinds.
LogEntry entry_of(const EventView& event, LogNames names);

class EventLog {
 public:
  EventLog(LogNames names, FloodGate::Limits limits) : names_(names), gate_(limits) {}

  // nullopt: part of a flood, in a summary later.
  std::optional<LogEntry> add(const EventView& event, BootTime now);
  // Call it at least once a window.
  std::vector<LogEntry> take_summaries(BootTime now);
  std::vector<LogEntry> finish(BootTime now);
  void set_log_names(LogNames names) { names_ = names; }

 private:
  LogNames names_;
  FloodGate gate_;
};

}  // namespace namewall::agent
