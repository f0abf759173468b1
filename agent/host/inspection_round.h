// Looks in turn for foreign users of each workload's reach (foreign_users.h): what makes a workload partial.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "agent/host/host_parts.h"
#include "agent/host/opened_cgroup.h"

namespace namewall::agent {

class InspectionRound {
 public:
  static constexpr std::size_t kPerTick = 2;
  static constexpr std::size_t kLooksPerTick = 16;  // most have no process, and need no inspection
  static constexpr Nanoseconds kInterval = std::chrono::seconds(60);

  explicit InspectionRound(HostParts& parts) : parts_(parts) {}
  InspectionRound(const InspectionRound&) = delete;

  // About once a second.
  void tick(BootTime now);
  // Sentences about what lies outside; none for a cgroup without processes. Waits for the inspection: some milliseconds
  // for a small workload, two seconds at most. What could not be inspected is a sentence, too. `caller`: the process
  // that asks for its own cgroup to be held (`namewall arm --self`) and may do all of this anyway; if it stays, tick()
  // finds it.
  std::vector<std::string> inspect(const OpenedCgroup& opened, std::uint32_t caller);

 private:
  HostParts& parts_;
  std::deque<std::uint64_t> round_;
  std::map<std::uint64_t, BootTime> inspected_;  // by cgroup id
};

}  // namespace namewall::agent
