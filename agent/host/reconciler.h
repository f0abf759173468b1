// Makes the kernel hold what the folder and the calls want, on the cgroups that exist. Decided in reconcile_plan, done
// by WorkloadArming.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/host/cgroup_watcher.h"
#include "agent/host/host_parts.h"
#include "agent/host/probe_cgroups.h"
#include "agent/host/reconcile_plan.h"
#include "agent/host/workload_arming.h"

namespace namewall::agent {

class Reconciler {
 public:
  struct Outcome {
    std::uint32_t armed = 0, replaced = 0, let_go = 0, unchanged = 0, adopted = 0;
    std::vector<std::string> errors;  // a sentence each
  };

  Reconciler(HostParts& parts, WorkloadArming& arming) : parts_(parts), arming_(arming) {}

  // Everything: after a start, a change of the folder, lost events. The watcher follows the folder's patterns then.
  Outcome reconcile();
  // What came and went: cost by the number of changes. `since`: nothing of it is older.
  void follow(const CgroupChanges& changes, BootTime since);
  // Enters the templates' children that the kernel has met by itself.
  void meet_children();
  // Every kLookAgain: what could not be armed is tried again, and what nobody told of is looked for.
  void look_again();
  static constexpr Nanoseconds kLookAgain = std::chrono::seconds(10);

 private:
  bool is_probe(const ExistingCgroup& cgroup);
  void note_unseen(bool is_incomplete);
  void arm_appeared(const std::vector<ExistingCgroup>& appeared, BootTime since);
  std::vector<DesiredWorkload> desired();
  CgroupPaths existing(const std::vector<ArmedCgroup>& armed);
  void apply(const std::vector<KernelChange>& changes, Outcome& outcome);
  void apply_one(const KernelChange& change, Outcome& outcome);
  void arm(const std::vector<KernelChange>& changes, Outcome& outcome, std::optional<BootTime> since);
  void guard(const WantedWorkload& place, Outcome& outcome);
  void meet(const KernelChange& change);
  void adopt(const KernelChange& change);
  void fail_workload(const KernelChange& change, const Error& error, Outcome& outcome);
  Workload describe(const KernelChange& change) const;

  HostParts& parts_;
  WorkloadArming& arming_;
  std::vector<PlannedPolicy> planned_;  // of the folder, as of the last reconcile()
  ProbeCgroups probes_;
  bool has_unseen_ = false;  // the watcher could not follow all that matters
};

}  // namespace namewall::agent
