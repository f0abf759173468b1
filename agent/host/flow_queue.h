// Has the flows of workloads judged that may hold connections which their policy does not allow: those armed with
// processes inside, those whose policy has just narrowed. Such a workload is strict, and stays it until a review was
// complete.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/host/flow_review.h"
#include "agent/host/host_parts.h"

namespace namewall::agent {

class FlowQueue {
 public:
  static constexpr std::size_t kAtOnce = 8;
  // What stood in the way once was mostly a process that ended meanwhile; what stays is asked for less and less.
  static constexpr Nanoseconds kFirstRetry = std::chrono::seconds(1), kLastRetry = std::chrono::seconds(32);

  explicit FlowQueue(HostParts& parts) : parts_(parts) {}
  FlowQueue(const FlowQueue&) = delete;

  // The workload is strict already. Asked for again during a review: it is reviewed once more.
  void judge(std::uint64_t cgroup_id);
  void forget(std::uint64_t cgroup_id);
  // Starts what there is room for: every turn.
  void start_waiting(BootTime now);
  // Asks again for what was incomplete: about once a second.
  void retry(BootTime now);

  // Kept without a name that explains them, at the last review.
  const std::vector<std::string>& unattributed(std::uint64_t cgroup_id) const;
  // Why a workload is still strict, after its first review; nullopt: not known.
  std::optional<std::string> obstacle(std::uint64_t cgroup_id) const;

 private:
  struct Underway {
    bool again = false;
  };
  struct Outcome {
    std::vector<std::string> unattributed;
    std::string obstacle;
    std::optional<BootTime> retry_at;
    Nanoseconds retry_after = kFirstRetry;
  };

  void start(std::uint64_t cgroup_id, BootTime now);
  void finish(std::uint64_t cgroup_id, const FlowReview& review);
  static void put_off(Outcome& outcome, std::string obstacle);
  std::vector<GrantRecord> grants_of(const Workload& workload) const;

  HostParts& parts_;
  std::deque<std::uint64_t> waiting_;
  std::set<std::uint64_t> is_waiting_;
  std::unordered_map<std::uint64_t, Underway> underway_;
  std::unordered_map<std::uint64_t, Outcome> outcomes_;
};

}  // namespace namewall::agent
