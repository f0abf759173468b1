// Lookups and refusals per second, from two looks at the counters. Pure.
#pragma once

#include <string>
#include <vector>

#include "agent/client/screen.h"
#include "agent/host/host_view.h"

namespace namewall::agent {

struct WorkloadRate {
  std::string workload;
  std::string state;
  double lookups_per_s = 0;
  double refusals_per_s = 0;
  std::uint64_t lookups = 0;
  std::uint64_t refusals = 0;
  std::uint32_t grants = 0;
  std::string last_refusal;
};

// The busiest first. A workload that was armed anew or only now has a rate of what it counted in `seconds`.
std::vector<WorkloadRate> build_rates(const std::vector<WorkloadView>& before, const std::vector<WorkloadView>& now,
                                      double seconds);

// At most `max_rows` workloads, 0: all.
std::string rates_text(const std::vector<WorkloadRate>& rates, std::size_t max_rows, const Screen& screen);
std::string rates_json(const std::vector<WorkloadRate>& rates);

}  // namespace namewall::agent
