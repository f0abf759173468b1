// Judges the flows of one workload in every network namespace that its processes use, and ends those that its policy
// does not allow.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/host/flow_judge.h"
#include "agent/host/privileged_helper.h"

namespace namewall::agent {

struct DestroyedFlow {
  Flow flow;
  Reason reason = NW_REASON_NONE;
};

struct FlowReview {
  std::uint32_t kept = 0;  // with a peer
  std::vector<DestroyedFlow> destroyed;
  std::vector<std::string> unattributed;  // kept: Flow::to_string()
  // A sentence each. Not empty: the workload may hold flows that nobody has judged; it stays strict.
  std::vector<std::string> unjudged;
  bool is_complete() const { return unjudged.empty(); }
};

struct FlowReviewRequest {
  int cgroup_fd = -1;  // duplicated
  std::shared_ptr<const PolicyImage> image;
  std::vector<GrantRecord> grants;  // of the workload, under that image
  bool cut_unattributed = false;
  std::vector<ProxyPlace> places = {};  // the DNS proxy's, of any namespace
};

// Asynchronous: `done` is called once, from a later helper.read_answers() or helper.expire(). Between its steps it
// blocks the caller for one namespace's list_sockets(). The helper must outlive it.
void review_flows(PrivilegedHelper& helper, FlowReviewRequest request, BootTime now,
                  std::function<void(FlowReview)> done);

}  // namespace namewall::agent
