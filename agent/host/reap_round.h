// Removes names whose grants are long over, one workload after the other: each once a round.
#pragma once

#include <cstdint>
#include <deque>

#include "agent/host/host_parts.h"

namespace namewall::agent {

class ReapRound {
 public:
  static constexpr std::size_t kTicksPerRound = 300;

  explicit ReapRound(HostParts& parts) : parts_(parts) {}

  void tick();  // about once a second

 private:
  HostParts& parts_;
  std::deque<std::uint64_t> round_;
  std::size_t share_ = 1;
};

}  // namespace namewall::agent
