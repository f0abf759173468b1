#include "agent/host/probe_cgroups.h"

#include <string_view>

#include "agent/host/proof_probe.h"
#include "policy/cgroup_pattern.h"

namespace namewall::agent {
namespace {

std::string_view last_part(const std::string& path) { return std::string_view(path).substr(path.rfind('/') + 1); }

}  // namespace

bool ProbeCgroups::is_probe(const ExistingCgroup& cgroup, const WorkloadRegistry& registry, BootTime now) {
  if (!last_part(cgroup.path).starts_with(kProbePrefix)) return false;
  const Workload* holding = registry.find_holding(cgroup.path);
  if (holding == nullptr || holding->cgroup != parent_cgroup(cgroup.path)) return false;
  const auto [seen, is_new] = seen_.try_emplace(cgroup.id, Seen{cgroup.path, now});
  return is_new || now - seen->second.first < kLife;
}

std::vector<ExistingCgroup> ProbeCgroups::take_overdue(BootTime now) {
  std::vector<ExistingCgroup> overdue;
  std::erase_if(seen_, [&](const auto& entry) {
    if (now - entry.second.first < kLife) return false;
    overdue.push_back({entry.second.path, entry.first});
    return true;
  });
  return overdue;
}

}  // namespace namewall::agent
