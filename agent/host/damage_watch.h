// Looks over what the kernel holds; damage is repaired by the enforcer, and told of here. Attachments are counted at
// each tick. Policies one by one, and everything hook by hook and pin by pin, have bounded shares of a core: within
// kRound on a host of few workloads, else at a fixed rate. If the count says that something was detached, or if this
// kernel does not count, a round takes kRound whatever it costs.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "agent/host/host_parts.h"

namespace namewall::agent {

class DamageWatch {
 public:
  static constexpr Nanoseconds kRound = std::chrono::milliseconds(3500);
  static constexpr Nanoseconds kEach = std::chrono::milliseconds(500);
  static constexpr std::size_t kWorkloadsASecond = 64;  // about 0.15 % of a core
  static constexpr std::size_t kPoliciesASecond = 640;  // the same
  static constexpr std::size_t kToldAtOnce = 16;        // the rest is counted

  // Of one tick, so that all of `workloads` are looked at within kRound.
  static std::size_t share_of_round(std::size_t workloads);
  // Of one tick, when nothing suggests damage.
  static std::size_t calm_share(std::size_t workloads, std::size_t a_second = kWorkloadsASecond);

  explicit DamageWatch(HostParts& parts) : parts_(parts) {}

  void tick();

 private:
  std::size_t budget();
  void take(const std::vector<Damage>& found);
  void tell(const Damage& damage);

  HostParts& parts_;
  std::set<std::string> unrepaired_;  // told once, until it is gone
  std::size_t hurried_ = 0;           // cgroups left of a hurried round
};

}  // namespace namewall::agent
