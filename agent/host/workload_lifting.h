// Lifts enforcement, on request: the only part of the daemon that does.
#pragma once

#include <string>

#include "agent/host/host.h"
#include "agent/host/host_parts.h"
#include "agent/host/workload_arming.h"

namespace namewall::agent {

class WorkloadLifting {
 public:
  WorkloadLifting(HostParts& parts, WorkloadArming& arming) : parts_(parts), arming_(arming) {}

  // As Host. What the folder wants and a teardown lifted stays lifted until the next reload.
  Result<ChangeView> remove(const Peer& peer, const std::string& name, const std::string& reason);
  Result<ChangeView> teardown(const Peer& peer, const std::string& name, const std::string& reason);

 private:
  // What was lifted, in one line.
  Result<std::string> lift(const Workload& workload);
  void record(const Peer& peer, const Workload& before, const std::string& reason, const std::string& result);

  HostParts& parts_;
  WorkloadArming& arming_;
};

}  // namespace namewall::agent
