// Looks over what the kernel holds, a share at a time, so that all of it is looked at within kRound; damage is repaired
// by the enforcer, and told of here.
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "agent/host/host_parts.h"

namespace namewall::agent {

class DamageWatch {
 public:
  static constexpr Nanoseconds kRound = std::chrono::seconds(4);
  static constexpr Nanoseconds kEach = std::chrono::milliseconds(250);
  static constexpr std::size_t kToldAtOnce = 16;  // the rest is counted

  explicit DamageWatch(HostParts& parts) : parts_(parts) {}

  void tick();

 private:
  void tell(const bpf::Damage& damage);

  HostParts& parts_;
  std::set<std::string> unrepaired_;  // told once, until it is gone
};

}  // namespace namewall::agent
