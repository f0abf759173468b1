// From what should be held and what the kernel holds to the changes that make them one. Pure: values in, a list of
// values out, which the reconciler applies in order. Nothing here lifts enforcement: a workload whose policy nobody
// knows any more stays as it is.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/host/held_policy.h"
#include "bpf/host_enforcer.h"
#include "policy/workload_plan.h"

namespace namewall::agent {

struct DesiredWorkload {
  WantedWorkload place;
  HeldPolicyPtr policy;
  bool is_over = false;  // its time is: refused everything, whatever the policy says
};

// Cgroups that exist, by id.
using CgroupPaths = std::unordered_map<std::uint64_t, std::string>;

struct KernelChange {
  enum class Kind {
    kForget,  // its cgroup is gone
    kGuard,
    kUnguard,
    kArm,
    kRecognise,  // the kernel holds exactly this: it is only told to the enforcer
    kReplace,
    kMisfit,     // held in another way than wanted (template or not), which cannot be changed without a gap: it stays
    kKeep,       // nothing to do
    kMeetChild,  // a template's child that the kernel met by itself
    kAdopt,      // held, and nobody knows why
  };
  Kind kind = Kind::kKeep;
  WantedWorkload place;  // of kForget and kUnguard the id alone; of kAdopt without name and policy
  HeldPolicyPtr policy;  // of kMeetChild the template's, where it is known
  friend bool operator==(const KernelChange&, const KernelChange&) = default;
};

std::string to_string(const KernelChange& change);  // "arm builder at /ci.slice/build"

// `desired`: parents first; a cgroup at most once beside a guard on it. `guarded`: where guards are now. The changes
// come in the order of Kind, each kind as `desired` has it: what is gone frees its room first, guards close before
// anything is armed below them.
std::vector<KernelChange> plan_changes(const std::vector<DesiredWorkload>& desired,
                                       const std::vector<ArmedCgroup>& armed, const CgroupPaths& existing,
                                       const std::set<std::uint64_t>& guarded);

}  // namespace namewall::agent
