// Brings one workload, or a batch, to what it should be in the kernel, and enters the outcome in the registry. Nothing
// here decides what should be armed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/host/flow_queue.h"
#include "agent/host/host_parts.h"
#include "agent/host/reconcile_plan.h"

namespace namewall::agent {

// Who has to know what is armed.
class ArmingFollower {
 public:
  virtual ~ArmingFollower() = default;
  virtual void will_hold(const PolicyImage& image) = 0;   // before the kernel holds a workload to it
  virtual void has_changed(std::uint64_t cgroup_id) = 0;  // another policy, or none any more
  virtual void has_processes() = 0;                       // what was armed has some already
};

class WorkloadArming {
 public:
  static constexpr std::size_t kBatch = 256;  // cgroups open at a time

  WorkloadArming(HostParts& parts, FlowQueue& flows) : parts_(parts), flows_(flows) {}
  void set_follower(ArmingFollower& follower) { follower_ = &follower; }

  // Arms each; parents before what is below them. One result for each, in order. What is armed is in the registry then;
  // what is not is as before. `since`: when the cgroups appeared; nullopt: they were there.
  std::vector<Result<void>> arm(std::vector<Workload> workloads, std::optional<BootTime> since = std::nullopt);
  // The workload of this cgroup, armed or adopted, gets this description and policy. Atomic in the kernel.
  Result<void> replace(Workload workload);
  // The kernel holds exactly this policy already.
  Result<void> recognise(Workload workload);
  // Everything is refused from now on.
  Result<void> end(Workload& workload);
  // Lifts enforcement.
  Result<void> disarm(const Workload& workload);
  // The cgroup is gone.
  void forget(std::uint64_t cgroup_id);

 private:
  std::vector<Result<void>> arm_batch(std::vector<Workload>& workloads, std::optional<BootTime> since);
  void enter(Workload workload, const ArmedCgroup& armed, std::optional<BootTime> since);
  void tell_will_hold(const Workload& workload);
  void tell_changed(std::uint64_t cgroup_id);

  HostParts& parts_;
  FlowQueue& flows_;
  ArmingFollower* follower_ = nullptr;
};

}  // namespace namewall::agent
