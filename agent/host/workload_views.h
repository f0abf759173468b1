// What is told of workloads: views built from the registry and from what the kernel holds.
#pragma once

#include <string>
#include <vector>

#include "agent/host/daemon_proxy.h"
#include "agent/host/flow_queue.h"
#include "agent/host/host_parts.h"
#include "agent/host/host_view.h"
#include "agent/host/usage_cache.h"

namespace namewall::agent {

class WorkloadViews {
 public:
  // Other workloads are asked for the names of an address for so long at most.
  static constexpr Nanoseconds kNeighbourBudget = std::chrono::milliseconds(50);
  static constexpr Nanoseconds kListBudget = std::chrono::milliseconds(20);

  WorkloadViews(HostParts& parts, const FlowQueue& flows, UsageCache& usage, const DaemonProxy& proxy)
      : parts_(parts), flows_(flows), usage_(usage), proxy_(proxy) {}

  WorkloadView view(const Workload& workload, BootTime now) const;  // counters as last read
  std::vector<WorkloadView> list(BootTime now);
  Result<WorkloadDetail> detail(const Workload& workload, BootTime now);
  Result<std::vector<GrantView>> grants(const Workload& workload, BootTime now);

 private:
  void add_neighbours(std::vector<GrantView>& views, const std::vector<GrantRecord>& own, BootTime now) const;

  HostParts& parts_;
  const FlowQueue& flows_;
  UsageCache& usage_;
  const DaemonProxy& proxy_;
};

}  // namespace namewall::agent
