// The daemon as the control socket sees it: each request handed to the part that answers it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/host/host.h"
#include "agent/host/host_parts.h"
#include "agent/host/host_status.h"
#include "agent/host/proof_round.h"
#include "agent/host/workload_calls.h"
#include "agent/host/workload_lifting.h"
#include "agent/host/workload_restriction.h"
#include "agent/host/workload_views.h"

namespace namewall::agent {

class HostService : public Host {
 public:
  struct Parts {
    HostParts& host;
    WorkloadViews& views;
    HostStatus& status;
    WorkloadCalls& calls;
    WorkloadLifting& lifting;
    WorkloadRestriction& restriction;
    ProofRound& proofs;
    std::function<ReloadView(const Peer* peer)> reload;
    std::function<void()> save_changes;   // a change is remembered before it is answered
    std::function<void()> meet_children;  // so that a list knows those the kernel has met
  };
  explicit HostService(Parts parts) : parts_(std::move(parts)) {}

  StatusView status() override;
  std::vector<WorkloadView> list() override;
  Result<WorkloadDetail> show(const std::string& workload) override;
  Result<std::vector<GrantView>> grants(const std::string& workload) override;
  Result<WorkloadSets> sets(const std::string& workload) override;
  std::vector<std::string> armed_workloads() override;
  SetsHost sets_of_host() override { return {parts_.host.enforcer.find_table_changes()}; }
  std::string metrics() override;
  SelfView self(const Peer& peer) override;
  Result<ExplainView> explain(const Peer& peer, const std::string& workload, const std::string& target) override;
  Result<ChangeView> put(const Peer& peer, const std::string& workload, const WorkloadRequest& request) override;
  Result<ChangeView> patch(const Peer& peer, const std::string& workload, const RuleChange& change) override;
  Result<ChangeView> remove(const Peer& peer, const std::string& workload, const std::string& reason) override;
  RestrictOutcome restrict(const Peer& peer, const RestrictRequest& request) override;
  ReloadView reload(const Peer& peer) override;
  Result<ProofView> prove(const std::string& workload) override;
  Result<RepairView> repair(const Peer& peer) override;
  Result<ChangeView> teardown(const Peer& peer, const std::string& workload, const std::string& reason) override;
  std::vector<EventView> events(const EventFilter& filter, std::size_t limit) override;
  std::uint64_t newest_event() const override { return parts_.host.hub.newest(); }
  int event_signal_fd() const override { return parts_.host.hub.signal_fd(); }

 private:
  Result<const Workload*> find(const std::string& name);
  const Workload* find_own(const Peer& peer);

  Parts parts_;
  SetsBuilder sets_;
};

}  // namespace namewall::agent
