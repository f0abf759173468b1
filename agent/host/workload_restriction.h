// POST /v1/restrict: a process of any user gives up reach, for itself or one of its children. A cgroup is made below
// its own, armed, and the process moved into it: in this order, and undone in the other. Removed again when it is
// empty.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "agent/host/empty_cgroups.h"
#include "agent/host/host.h"
#include "agent/host/host_parts.h"
#include "agent/host/restriction_bounds.h"
#include "agent/host/workload_arming.h"

namespace namewall::agent {

class WorkloadRestriction {
 public:
  static constexpr std::size_t kSweptPerTick = 32;  // looked at without being told of
  // What nobody knows and is empty for so long is what a daemon that was killed had just made; not one that another is
  // making.
  static constexpr Nanoseconds kLeftOverAfter = std::chrono::seconds(10);

  WorkloadRestriction(HostParts& parts, WorkloadArming& arming, EmptyCgroups& emptied);
  WorkloadRestriction(const WorkloadRestriction&) = delete;

  // As Host. Waits for the privileged helper, at most kPatience each of three times.
  RestrictOutcome restrict(const Peer& peer, const RestrictRequest& request);
  // After a start: what an earlier daemon made is cleaned up when it is empty, or now.
  void take_over();
  void take_emptied();
  // About once a second.
  void tick(BootTime now);

 private:
  static constexpr Nanoseconds kPatience = std::chrono::milliseconds(500);

  struct Above {
    std::vector<const Workload*> levels;  // the nearest first
    RestrictionCount count;
  };
  struct Plan {
    HeldPolicyPtr policy;
    std::vector<std::string> without_effect;
    std::uint32_t depth = 0;
  };
  Result<Plan> plan(const Peer& peer, const RestrictRequest& request, const RestrictSettings& settings);
  Result<Above> look_above(const Peer& peer) const;
  Result<HeldPolicyPtr> build_policy(const RestrictRequest& request, const Above& above);
  RestrictedCgroupOutcome make_cgroup(const Peer& peer, const RestrictOrder& order);
  Result<void> arm(const Peer& peer, const RestrictRequest& request, std::uint64_t number, int directory,
                   HeldPolicyPtr policy);
  Result<void> enter(const RestrictedCgroup& made, std::uint64_t from_id);
  void undo(const RestrictedCgroup& made);
  void remove_if_empty(std::uint64_t cgroup_id);
  void remove(const std::string& path, std::uint64_t cgroup_id);

  HostParts& parts_;
  WorkloadArming& arming_;
  EmptyCgroups& emptied_;
  RestrictionRate rate_;
  std::uint64_t next_number_;
  std::deque<std::uint64_t> sweep_;
  std::vector<ExistingCgroup> left_over_;
  BootTime left_over_since_;
};

}  // namespace namewall::agent
