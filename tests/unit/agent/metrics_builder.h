// A daemon with something to tell in every metric.
#pragma once

#include <set>
#include <sstream>
#include <string>

#include "agent/host/metrics_text.h"

namespace namewall::agent {

inline MetricsInput make_full_metrics() {
  MetricsInput input;
  input.version = "0.1.0";
  input.revision = "abc";
  PolicyMetrics& policy = input.policies["builder"];
  policy.counters.lookups_allowed = 12;
  policy.counters.refusals["not_looked_up"] = 3;
  policy.counters.bounds_reached["grants"] = 1;
  policy.grants_live = 7;
  policy.workloads = {{"enforcing", 2}, {"partial", 1}};
  policy.oldest_proof_s = 12.5;
  policy.info = PolicyInfo{"00ff", "builder.toml", 4, 60};
  input.broken_files = {"broken.toml"};
  input.kernel_update.observe(std::chrono::microseconds(70));
  input.loop_stall.observe(std::chrono::milliseconds(2));
  input.unarmed.observe(std::chrono::microseconds(300));
  input.reloads_ok = 2;
  input.write_failures["state"] = 0;
  input.proxy = {{"questions", 9}, {"refused", 2}, {"cached_bytes", 512}, {"waiting", 1}, {"in_flight", 1}};
  input.proxy_namespaces = 2;
  input.started_at_unix_s = 1700000000.5;
  return input;
}

// Of its TYPE lines.
inline std::set<std::string> metric_names(const std::string& text) {
  std::set<std::string> names;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.starts_with("# TYPE ")) names.insert(line.substr(7, line.find(' ', 7) - 7));
  }
  return names;
}

}  // namespace namewall::agent
