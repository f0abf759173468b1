// How many TCP connections each workload has to the proxy, over all places.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "agent/proxy/asker.h"

namespace namewall::agent {

class ConnectionCounts {
 public:
  static constexpr std::uint32_t kMaxOfAll = 512;  // the process may have no more than 1,024 descriptors

  // Whether every level of the asker may have one more, counted then.
  bool admit(const Asker& asker);
  void leave(const Asker& asker);  // as admitted
  std::uint32_t all() const { return all_; }

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> of_workload_;  // by cgroup id
  std::uint32_t all_ = 0;
};

}  // namespace namewall::agent
