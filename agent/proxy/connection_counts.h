// How many TCP connections each workload has to the proxy, over all places.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "agent/proxy/asker.h"

namespace namewall::agent {

class ConnectionCounts {
 public:
  explicit ConnectionCounts(std::uint32_t max_of_all) : max_of_all_(max_of_all) {}

  // Whether every level of the asker, and all together, may have one more; counted then.
  bool admit(const Asker& asker);
  void leave(const Asker& asker);  // as admitted
  std::uint32_t all() const { return all_; }

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> of_workload_;  // by cgroup id
  std::uint32_t max_of_all_;
  std::uint32_t all_ = 0;
};

}  // namespace namewall::agent
