// Takes the kernel's events in: finds out whose they are, keeps them, answers refused questions. Bounded work a turn:
// what is left waits in the ring, whose bound is the kernel's.
#pragma once

#include <cstddef>
#include <functional>
#include <utility>

#include "agent/host/host_parts.h"
#include "agent/host/netns_answers.h"
#include "agent/host/proof_round.h"
#include "agent/host/reconciler.h"

namespace namewall::agent {

class EventIntake {
 public:
  static constexpr std::size_t kPerTurn = 1024;

  // `no_proxy`: is told of processes that find no DNS proxy in their network namespace.
  EventIntake(HostParts& parts, Reconciler& reconciler, const ProofRound& proofs, NetnsAnswers& answers,
              std::function<void(const Event&)> no_proxy)
      : parts_(parts), reconciler_(reconciler), proofs_(proofs), answers_(answers), no_proxy_(std::move(no_proxy)) {}

  // Returns whether more may wait.
  bool take();
  // One that is not of the kernel.
  void add(const Event& event);

 private:
  void take_one(const Event& event, BootTime now, Nanoseconds utc_at_boot);
  Workload* find_workload(std::uint64_t cgroup_id);

  HostParts& parts_;
  Reconciler& reconciler_;
  const ProofRound& proofs_;
  NetnsAnswers& answers_;
  std::function<void(const Event&)> no_proxy_;
  bool has_failed_ = false;
  BootTime next_meeting_;  // no search for unknown children before
};

}  // namespace namewall::agent
