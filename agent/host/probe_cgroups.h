// The cgroups that live proofs make inside workloads: they are no workloads themselves. Only a name says so, which
// anybody who may make cgroups can choose too: so it counts right below an armed workload only, and for longer than a
// proof takes at most. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/host/workload_registry.h"
#include "policy/boot_time.h"
#include "policy/workload_plan.h"

namespace namewall::agent {

class ProbeCgroups {
 public:
  static constexpr Nanoseconds kLife = std::chrono::seconds(5);

  // Remembers when it was seen first.
  bool is_probe(const ExistingCgroup& cgroup, const WorkloadRegistry& registry, BootTime now);
  // Those that had their time, once: they are to be treated like every other cgroup.
  std::vector<ExistingCgroup> take_overdue(BootTime now);
  void forget(std::uint64_t cgroup_id) { seen_.erase(cgroup_id); }

 private:
  struct Seen {
    std::string path;
    BootTime first;
  };
  std::unordered_map<std::uint64_t, Seen> seen_;  // by cgroup id; emptied by take_overdue()
};

}  // namespace namewall::agent
