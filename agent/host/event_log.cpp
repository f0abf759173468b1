#include "agent/host/event_log.h"

#include <utility>

#include "policy/reason.h"

namespace namewall::agent {
namespace {

bool is_refusal(const EventView& event) {
  return event.kind == "refused" || event.kind == "withheld" || event.kind == "audit";
}

bool may_name(const EventView& event, LogNames names) {
  return names == LogNames::kAll || (names == LogNames::kRefused && is_refusal(event));
}

std::string what_happened(const EventView& event) {
  if (event.kind == "audit") return "would be refused: " + event.hook;
  return event.hook.empty() ? event.kind : event.kind + " " + event.hook;
}

// " registry.npmjs.org (192.0.2.7, tcp port 443)"
std::string target_of(const EventView& event) {
  std::string place = event.address;
  if (event.port != 0) {
    if (!place.empty()) place += ", ";
    place += event.protocol.empty() ? "port " : event.protocol + " port ";
    place += std::to_string(event.port);
  }
  if (event.name.empty()) return place.empty() ? "" : " " + place;
  return place.empty() ? " " + event.name : " " + event.name + " (" + place + ")";
}

// A reason's own sentence names nothing; an event's may.
std::string why(const EventView& event, bool naming) {
  if (naming || event.kind == "notice") return event.sentence;
  const auto reason = reason_of_code(event.reason);
  return reason ? std::string(sentence_of(*reason)) : event.reason;
}

Priority priority_of(const EventView& event) {
  if (event.kind == "notice") return Priority::kNotice;
  return is_refusal(event) ? Priority::kWarning : Priority::kInfo;
}

std::vector<LogEntry> entries_of(const std::vector<FloodGate::Summary>& summaries) {
  std::vector<LogEntry> entries;
  for (const auto& summary : summaries) {
    LogEntry entry;
    entry.priority = Priority::kWarning;
    entry.fields.workload = summary.workload;
    entry.fields.reason = summary.reason;
    const bool is_shared = summary.workload.empty() && summary.reason.empty();
    entry.message = is_shared ? "events of other workloads: "
                              : summary.workload + (summary.workload.empty() ? "" : ": ") + summary.reason + ": ";
    entry.message += "... " + text_of(summary);
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace

std::optional<LogNames> parse_log_names(std::string_view text) {
  if (text == "all") return LogNames::kAll;
  if (text == "refused") return LogNames::kRefused;
  if (text == "none") return LogNames::kNone;
  return std::nullopt;
}

LogEntry entry_of(const EventView& event, LogNames names) {
  const bool naming = may_name(event, names);
  LogEntry entry;
  entry.priority = priority_of(event);
  entry.fields.workload = event.workload;
  entry.fields.policy = event.policy;
  entry.fields.reason = event.reason;
  entry.fields.generation = event.generation;
  if (naming) {
    entry.fields.name = event.name;
    entry.fields.address = event.address;
  }
  std::string& message = entry.message;
  if (!event.workload.empty()) message = event.workload + ": ";
  if (event.kind == "notice") {
    message += event.sentence;
    return entry;
  }
  message += what_happened(event);
  if (naming) message += target_of(event);
  if (!event.command.empty() || event.pid != 0)
    message += " by " + event.command + "(" + std::to_string(event.pid) + ")";
  message += ": " + why(event, naming);
  if (naming && !event.rule.empty()) message += "; rule: " + event.rule;
  if (naming && !event.permit.empty()) message += "; to permit it: " + event.permit;
  if (event.left_out != 0) message += "; " + std::to_string(event.left_out) + " left out before it";
  return entry;
}

std::optional<LogEntry> EventLog::add(const EventView& event, BootTime now) {
  if (!gate_.admit(event.workload, event.reason, now, event.left_out + 1)) return std::nullopt;
  return entry_of(event, names_);
}

std::vector<LogEntry> EventLog::take_summaries(BootTime now) { return entries_of(gate_.take_summaries(now)); }

std::vector<LogEntry> EventLog::finish(BootTime now) { return entries_of(gate_.finish(now)); }

}  // namespace namewall::agent
