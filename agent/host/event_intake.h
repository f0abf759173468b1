// Takes the kernel's events in: finds out whose they are, keeps them, answers refused questions. Bounded work a turn:
// what is left waits in the ring, whose bound is the kernel's.
#pragma once

#include <cstddef>

#include "agent/host/host_parts.h"
#include "agent/host/netns_answers.h"
#include "agent/host/proof_round.h"
#include "agent/host/reconciler.h"

namespace namewall::agent {

class EventIntake {
 public:
  static constexpr std::size_t kPerTurn = 1024;

  EventIntake(HostParts& parts, Reconciler& reconciler, const ProofRound& proofs, NetnsAnswers& answers)
      : parts_(parts), reconciler_(reconciler), proofs_(proofs), answers_(answers) {}

  // Returns whether more may wait.
  bool take();

 private:
  void take_one(const Event& event, BootTime now, Nanoseconds utc_at_boot);
  Workload* find_workload(std::uint64_t cgroup_id);

  HostParts& parts_;
  Reconciler& reconciler_;
  const ProofRound& proofs_;
  NetnsAnswers& answers_;
  bool has_failed_ = false;
  BootTime next_meeting_;  // no search for unknown children before
};

}  // namespace namewall::agent
