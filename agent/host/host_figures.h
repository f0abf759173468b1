// What the daemon counts of its own life, for `status` and the metrics.
#pragma once

#include <cstdint>
#include <string>

#include "agent/host/histogram.h"
#include "policy/boot_time.h"

namespace namewall::agent {

struct HostFigures {
  std::string started_at;
  BootTime started;
  std::uint64_t generation = 0;  // counts every change of any workload
  std::uint64_t reloads = 0, reload_failures = 0;
  std::string last_reload_at;
  std::uint64_t damage_found = 0, damage_repaired = 0;
  std::string last_damage, last_damage_at;
  std::uint64_t proof_failures = 0;
  double unarmed_ms_last = -1, unarmed_ms_max = -1;
  std::uint32_t grants_adopted = 0;
  double adoption_gap_ms = 0;
  Histogram kernel_update, loop_stall, unarmed;
};

}  // namespace namewall::agent
