// GET /v1/metrics: values in, Prometheus text (exposition format 0.0.4) out. Every metric is described in
// docs/metrics.md. Labels are per policy, never per workload.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/host/counter_totals.h"
#include "agent/host/histogram.h"

namespace namewall::agent {

struct PolicyInfo {
  std::string sha256;  // of the canonical form in force
  std::string file;    // "" of a policy by call
  std::uint64_t generation = 0;
  double age_s = 0;  // since it came into force
};

// Of all workloads of one policy together. Fill the map of MetricsInput by CounterTotals::label_of.
struct PolicyMetrics {
  CounterSums counters;
  std::uint64_t grants_live = 0;
  std::map<std::string, std::uint64_t> workloads;  // by state of WorkloadView
  std::optional<double> oldest_proof_s;            // absent: some workload has no proof yet
  std::optional<PolicyInfo> info;                  // absent: several policies share this label
};

struct MetricsInput {
  std::string version, revision;
  std::map<std::string, PolicyMetrics> policies;  // by label
  std::vector<std::string> broken_files;          // whose newest version is not in force
  Histogram kernel_update;                        // arming and replacing, per call
  Histogram loop_stall;                           // per turn of the loop: time not spent waiting
  Histogram unarmed;                              // of watched globs: from a cgroup's appearance to its arming
  std::uint64_t reloads_ok = 0, reloads_failed = 0;
  std::uint64_t proof_failures = 0;
  std::uint64_t damage_found = 0, damage_repaired = 0;
  std::uint64_t adopted_grants = 0;                     // at start
  double adoption_gap_s = 0;                            // before it, nobody read events
  std::map<std::string, std::uint64_t> write_failures;  // by file: "state", "changes", "journal"
  std::map<std::string, std::uint64_t> proxy;           // proxy_counts()
  std::uint64_t proxy_namespaces = 0;
  double started_at_unix_s = 0;
};

// At most this many files in namewall_policy_error; the rest is counted in file="other".
inline constexpr std::size_t kMaxBrokenFiles = 200;

// Labels beyond CounterTotals::kMaxPolicies are folded into CounterTotals::kOther.
std::string metrics_text(const MetricsInput& input);

}  // namespace namewall::agent
