#include "agent/client/status_text.h"

#include <algorithm>

#include "agent/client/phrase.h"
#include "agent/client/sections.h"
#include "agent/client/table.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

std::string workloads_phrase(const StatusView& status) {
  std::vector<std::string> states;
  for (const auto& [state, count] : status.workloads_by_state) {
    if (count != 0) states.push_back(std::to_string(count) + " " + escape_for_display(state));
  }
  return std::to_string(status.workloads) + (states.empty() ? "" : ": " + phrase_list(states));
}

std::string proof_phrase(const StatusView& status) {
  if (status.workloads == 0) return "nothing to prove";
  if (status.oldest_proof_s < 0) return "not yet by trying";
  return phrase_seconds(status.oldest_proof_s) + " ago" +
         (status.workloads > 1 ? " (the oldest of all workloads)" : "");
}

std::string reloads_phrase(const StatusView& status) {
  std::string text = std::to_string(status.reloads) + ", " + std::to_string(status.reload_failures) + " failed";
  if (!status.last_reload_at.empty()) text += "; the last at " + escape_for_display(status.last_reload_at);
  return text;
}

std::string damage_phrase(const StatusView& status) {
  std::string text = "repaired " + phrase_count(status.damage_repaired, "time", "times");
  if (!status.last_damage.empty()) text += "; the last: " + escape_for_display(status.last_damage);
  if (!status.last_damage_at.empty()) text += " (" + escape_for_display(status.last_damage_at) + ")";
  return text;
}

std::string proxy_phrase(const StatusView& status) {
  const auto count_of = [&status](const char* count) {
    const auto found = status.proxy.find(count);
    return found == status.proxy.end() ? std::uint64_t{0} : found->second;
  };
  return "in " + phrase_count(status.proxy_namespaces.size(), "network namespace", "network namespaces") + "; " +
         phrase_amount(count_of("questions")) + " questions, " + phrase_amount(count_of("refused")) + " refused, " +
         phrase_amount(count_of("withheld")) + " answers withheld";
}

std::string policies_table(const StatusView& status, const Screen& screen) {
  Table table({{"POLICY", false, 0, 12},
               {"STATE", false, 0, 9},
               {"AGE", true, 0, 4},
               {"WORKLOADS", true, 2, 4},
               {"FILE", false, 1, 16, true}});
  for (const PolicyFileView& policy : status.policies) {
    table.add({escape_for_display(policy.policy), escape_for_display(policy.state),
               policy.state == "broken" ? "-" : phrase_seconds(policy.age_s), std::to_string(policy.workloads),
               escape_for_display(policy.file)});
  }
  return table.is_empty() ? std::string() : "\n" + table.to_string(screen.width);
}

std::string bounds_table(const StatusView& status, const Screen& screen) {
  if (status.bounds.empty()) return {};
  Table table({{"  BOUND", false, 0, 20}, {"USED", true, 0}, {"LIMIT", true, 0}});
  for (const BoundView& bound : status.bounds) {
    table.add({"  " + escape_for_display(bound.bound),
               phrase_amount(static_cast<std::uint64_t>(std::max(0.0, bound.used))),
               phrase_amount(static_cast<std::uint64_t>(std::max(0.0, bound.limit)))});
  }
  return "\nNear their bounds:\n" + table.to_string(screen.width);
}

}  // namespace

bool is_all_enforcing(const StatusView& status) {
  const auto count_of = [&status](const char* state) {
    const auto found = status.workloads_by_state.find(state);
    return found == status.workloads_by_state.end() ? 0 : found->second;
  };
  const bool has_broken = std::any_of(status.policies.begin(), status.policies.end(),
                                      [](const PolicyFileView& policy) { return policy.state == "broken"; });
  return status.state == "enforcing" && count_of("failed") == 0 && count_of("partial") == 0 && !has_broken;
}

std::string status_text(const StatusView& status, const Screen& screen) {
  std::string out = paint(screen, tone_of_state(status.state), escape_for_display(status.state)) + "\n";
  out += fact_line("daemon",
                   "namewalld " + escape_for_display(status.version) + ", pid " + std::to_string(status.pid) +
                       ", since " + escape_for_display(status.started_at),
                   screen);
  out += fact_line("workloads", workloads_phrase(status), screen);
  out += fact_line("proved", proof_phrase(status), screen);
  if (status.unarmed_ms_max >= 0) {
    out +=
        fact_line("unarmed",
                  "for " + phrase_ms(std::max(0.0, status.unarmed_ms_last)) + " at the last new cgroup, at most for " +
                      phrase_ms(status.unarmed_ms_max) + " (globs that are watched)",
                  screen);
  }
  out += fact_line("reloads", reloads_phrase(status), screen);
  out += fact_line("events", phrase_amount(status.events) + ", " + phrase_amount(status.events_left_out) + " left out",
                   screen);
  if (!status.proxy_namespaces.empty()) out += fact_line("DNS proxy", proxy_phrase(status), screen);
  if (status.grants_adopted != 0 || status.adoption_gap_ms > 0) {
    out += fact_line("adopted",
                     phrase_count(status.grants_adopted, "grant", "grants") + " at the start, after " +
                         phrase_ms(status.adoption_gap_ms) + " in which nobody read events",
                     screen);
  }
  if (status.damage_repaired != 0 || !status.last_damage.empty()) {
    out += fact_line("damage", damage_phrase(status), screen);
  }
  out += fact_line("generation", std::to_string(status.generation), screen);
  out += sentence_list("\nWhy not everything is enforced:", status.why, screen);
  out += policies_table(status, screen);
  std::vector<std::string> errors;
  for (const PolicyFileView& policy : status.policies) {
    if (!policy.error.empty()) errors.push_back(policy.error);
  }
  out += sentence_list("\nErrors:", errors, screen);
  out += bounds_table(status, screen);
  out += sentence_list("\nWarnings:", status.warnings, screen);
  return out;
}

}  // namespace namewall::agent
