// Workloads by call: PUT and PATCH. Each answers when the kernel holds what it says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/host/flow_queue.h"
#include "agent/host/host.h"
#include "agent/host/host_parts.h"
#include "agent/host/inspection_round.h"
#include "agent/host/opened_cgroup.h"
#include "agent/host/workload_arming.h"

namespace namewall::agent {

class WorkloadCalls {
 public:
  WorkloadCalls(HostParts& parts, WorkloadArming& arming, const FlowQueue& flows, InspectionRound& inspections)
      : parts_(parts), arming_(arming), flows_(flows), inspections_(inspections) {}

  // As Host.
  Result<ChangeView> put(const Peer& peer, const std::string& name, const WorkloadRequest& request);
  Result<ChangeView> patch(const Peer& peer, const std::string& name, const RuleChange& change);

  // Workloads whose time is over are refused everything from now on.
  void end_overdue(BootTime now);

 private:
  struct Place {
    std::string cgroup;
    OpenedCgroup opened;
  };

  Result<ChangeView> put_unrecorded(const Peer& peer, const std::string& name, const WorkloadRequest& request);
  Result<ChangeView> patch_unrecorded(const std::string& name, const RuleChange& change);
  Result<Place> find_place(const std::string& name, const WorkloadRequest& request) const;
  Result<void> check_free(const std::string& name, const Place& place) const;
  Result<HeldPolicyPtr> find_policy(const std::string& name, const WorkloadRequest& request);
  Result<std::vector<std::string>> find_holes(const Peer& peer, const Place& place, bool allow_partial);
  HeldBy held_by_at(const std::string& cgroup, std::uint64_t id) const;
  Result<void> hold(Workload workload, bool is_armed);
  ChangeView changed(const Workload& workload) const;
  void record(ChangeAction action, const Peer& peer, const std::string& name, const std::string& reason,
              const Workload* before, const Result<ChangeView>& outcome);

  HostParts& parts_;
  WorkloadArming& arming_;
  const FlowQueue& flows_;
  InspectionRound& inspections_;
  std::optional<std::uint64_t> ends_known_at_;  // generation: each change of a workload's time raises it
  BootTime next_end_;                           // of those that the last look over all found
};

}  // namespace namewall::agent
