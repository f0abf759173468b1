// Live proofs of all workloads in turn: each at its arming, then once an interval. A proof costs about 2 ms of a core,
// so that a host of many workloads proves one a second, however long the round takes.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "agent/host/host_parts.h"
#include "agent/host/live_proof.h"

namespace namewall::agent {

class ProofRound {
 public:
  static constexpr std::size_t kFewWorkloads = 240;
  static constexpr std::size_t kPerTickOfFew = 4, kPerTickOfMany = 1;

  explicit ProofRound(HostParts& parts) : parts_(parts) {}
  ProofRound(const ProofRound&) = delete;

  // About once a second.
  void tick(BootTime now);
  // Waits for the proof: about 10 ms, at most about a second.
  Result<ProofView> prove(const Workload& workload);
  // An event of a proof of ours: nobody has to hear of it.
  bool is_own(const Event& event) const;

 private:
  struct Recent {
    std::uint64_t cgroup_id = 0;
    ProofPlan plan;
    BootTime until;  // events come later than the outcome
  };

  Result<void> start(const Workload& workload, BootTime now, std::function<void(Result<ProofView>, bool was_run)> done);
  void note(std::uint64_t cgroup_id, const Result<ProofView>& proof, bool was_run);

  HostParts& parts_;
  std::deque<std::uint64_t> round_;
  std::deque<Recent> recent_;
};

}  // namespace namewall::agent
