// Who asks the DNS proxy: found for a workload, or for any cgroup below one, and kept until something changes.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/host/host_figures.h"
#include "agent/host/workload_registry.h"
#include "agent/proxy/asker.h"

namespace namewall::agent {

class WorkloadAskers {
 public:
  struct Seams {
    std::function<void()> meet_children;  // enters the templates' children that the kernel has met by itself
    std::function<std::vector<ExistingCgroup>()> list_cgroups;  // of the host
  };
  // All outlive this.
  WorkloadAskers(const WorkloadRegistry& registry, const HostFigures& figures, Seams seams)
      : registry_(registry), figures_(figures), seams_(std::move(seams)) {}

  // nullptr: no such workload, or one at any level is over, or has a policy that nobody knows.
  Asker find(std::uint64_t cgroup_id);
  // Of a cgroup at any depth.
  Asker find_of_cgroup(std::uint64_t cgroup_id);
  // The workload with what it is nested in, the innermost first; what is not armed is left out.
  struct Levels {
    std::vector<const Workload*> workloads;
    bool is_complete = true;  // false: it lies in a template's child that nobody has met yet
  };
  Levels levels_of(const Workload& workload) const;

  // The innermost workloads of the askers kept that have one of these as a level, or as their template.
  std::vector<std::uint64_t> kept_with(const std::set<std::uint64_t>& changed) const;
  void forget(std::uint64_t cgroup_id) { kept_.erase(cgroup_id); }

 private:
  struct Kept {
    Asker asker;
    std::uint64_t generation = 0;  // HostFigures
  };
  Asker make(std::uint64_t cgroup_id);
  std::string path_of(std::uint64_t cgroup_id);
  void look_for_cgroups();

  const WorkloadRegistry& registry_;
  const HostFigures& figures_;
  Seams seams_;
  BootTime next_meeting_, next_look_;
  std::unordered_map<std::uint64_t, Kept> kept_;  // by the innermost workload
  // Cgroups below workloads, by id; "": there was none at the last look. An id is never given again, and a cgroup never
  // moves.
  std::unordered_map<std::uint64_t, std::string> paths_;
};

// What makes a chain's DNS go by the proxy: the first level whose policy says so; nullptr: the kernel learns.
const Workload* level_that_wants_proxy(const std::vector<const Workload*>& levels);

}  // namespace namewall::agent
