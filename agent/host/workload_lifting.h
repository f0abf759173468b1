// Lifts enforcement, on request: the only part of the daemon that does.
#pragma once

#include <string>
#include <vector>

#include "agent/host/host.h"
#include "agent/host/host_parts.h"
#include "agent/host/workload_arming.h"

namespace namewall::agent {

class WorkloadLifting {
 public:
  WorkloadLifting(HostParts& parts, WorkloadArming& arming) : parts_(parts), arming_(arming) {}

  // As Host. What the folder wants and a teardown lifted stays lifted: lifted_places.h.
  Result<ChangeView> remove(const Peer& peer, const std::string& name, const std::string& reason);
  Result<ChangeView> teardown(const Peer& peer, const std::string& name, const std::string& reason);

 private:
  // Of a template: those that its programs hold.
  std::vector<const Workload*> children_of(const Workload& workload) const;
  bool is_held_by_template(const Workload& workload) const;
  // What was lifted, in one line. kConflict: a template that holds workloads with policies of their own.
  Result<std::string> lift(const Workload& workload);
  void record(const Peer& peer, const Workload& before, const std::string& reason, const std::string& result);

  HostParts& parts_;
  WorkloadArming& arming_;
};

}  // namespace namewall::agent
