// How many connections are open, and by whom: one without rights can use up only its own share.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "agent/control/control_limits.h"

namespace namewall::agent {

class ConnectionRoom {
 public:
  explicit ConnectionRoom(const ControlLimits& limits) : limits_(limits) {}

  // `holder`: "" for those with rights, else who shares a bound ("user 1000", "workload builder"). false: no room.
  bool enter(const std::string& holder);
  void leave(const std::string& holder);  // once for each enter() that was true

 private:
  ControlLimits limits_;
  std::size_t privileged_ = 0, unprivileged_ = 0;
  std::map<std::string, std::size_t> by_holder_;  // those with none are removed
};

}  // namespace namewall::agent
