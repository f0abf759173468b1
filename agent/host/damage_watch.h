// Looks over what the kernel holds; damage is repaired by the enforcer, and told of here. What costs little for each
// workload is looked at within kRound: policies one by one, attachments by counting them. Everything else, hook by hook
// and pin by pin, has a bounded share of a core: within kRound too on a host of few workloads, else at
// kWorkloadsASecond. If the count says that something was detached, or if this kernel does not count, a round takes
// kRound whatever it costs.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "agent/host/host_parts.h"

namespace namewall::agent {

class DamageWatch {
 public:
  static constexpr Nanoseconds kRound = std::chrono::seconds(4);
  static constexpr Nanoseconds kEach = std::chrono::milliseconds(250);
  static constexpr std::size_t kWorkloadsASecond = 64;  // about 0.15 % of a core
  static constexpr std::size_t kToldAtOnce = 16;        // the rest is counted

  // Of one tick, so that all of `workloads` are looked at within kRound.
  static std::size_t share_of_round(std::size_t workloads);
  // Of one tick, when nothing suggests damage.
  static std::size_t calm_share(std::size_t workloads);

  explicit DamageWatch(HostParts& parts) : parts_(parts) {}

  void tick();

 private:
  std::size_t budget();
  void take(const std::vector<bpf::Damage>& found);
  void tell(const bpf::Damage& damage);

  HostParts& parts_;
  std::set<std::string> unrepaired_;  // told once, until it is gone
  std::size_t hurried_ = 0;           // cgroups left of a hurried round
};

}  // namespace namewall::agent
