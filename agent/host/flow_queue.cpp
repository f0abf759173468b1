#include "agent/host/flow_queue.h"

#include <algorithm>
#include <utility>

#include "agent/host/host_clock.h"
#include "agent/host/opened_cgroup.h"

namespace namewall::agent {

void FlowQueue::judge(std::uint64_t cgroup_id) {
  if (const auto running = underway_.find(cgroup_id); running != underway_.end()) {
    running->second.again = true;
    return;
  }
  if (is_waiting_.insert(cgroup_id).second) waiting_.push_back(cgroup_id);
}

void FlowQueue::forget(std::uint64_t cgroup_id) {
  outcomes_.erase(cgroup_id);
  is_waiting_.erase(cgroup_id);  // its place in the queue is passed over
}

void FlowQueue::retry(BootTime now) {
  for (auto& [id, outcome] : outcomes_) {
    if (!outcome.retry_at || *outcome.retry_at > now) continue;
    outcome.retry_at.reset();
    judge(id);
  }
}

void FlowQueue::start_waiting(BootTime now) {
  while (underway_.size() < kAtOnce && !waiting_.empty()) {
    const std::uint64_t id = waiting_.front();
    waiting_.pop_front();
    if (is_waiting_.erase(id) != 0) start(id, now);
  }
}

std::vector<GrantRecord> FlowQueue::grants_of(const Workload& workload) const {
  std::vector<GrantRecord> grants;
  const auto add = [&](std::uint64_t id) {
    if (auto read = parts_.enforcer.read_grants(id)) grants.insert(grants.end(), read->begin(), read->end());
  };
  add(workload.cgroup_id);
  if (workload.held_by != HeldBy::kTemplate) return grants;
  std::as_const(parts_.registry).each([&](const Workload& other) {
    if (other.is_template_child && other.policy == workload.policy) add(other.cgroup_id);
  });
  return grants;
}

void FlowQueue::start(std::uint64_t cgroup_id, BootTime now) {
  const Workload* workload = parts_.registry.find_by_id(cgroup_id);
  if (workload == nullptr || !workload->policy) return;
  const auto opened = open_cgroup(parts_.cgroups, workload->cgroup, cgroup_id);
  if (!opened) return;  // gone: whoever watches cgroups tells
  FlowReviewRequest request;
  request.cgroup_fd = opened->fd.get();
  request.image = workload->policy->image();
  request.grants = grants_of(*workload);
  request.cut_unattributed = workload->policy->policy().cut_unattributed;
  request.places = parts_.enforcer.proxy_places();
  underway_[cgroup_id];
  review_flows(parts_.helper, std::move(request), now,
               [this, cgroup_id](const FlowReview& review) { finish(cgroup_id, review); });
}

void FlowQueue::finish(std::uint64_t cgroup_id, const FlowReview& review) {
  const auto running = underway_.extract(cgroup_id);
  Workload* workload = parts_.registry.find_by_id(cgroup_id);
  if (workload == nullptr) return;
  for (const DestroyedFlow& ended : review.destroyed) {
    parts_.diary.notice(Priority::kNotice, workload->name, "flow_ended",
                        "ended " + ended.flow.to_string() + ": " + std::string(namewall::sentence_of(ended.reason)));
  }
  Outcome& outcome = outcomes_[cgroup_id];
  outcome.unattributed = review.unattributed;
  outcome.obstacle.clear();
  outcome.retry_at.reset();
  if (!running.empty() && running.mapped().again) return judge(cgroup_id);
  if (!review.is_complete()) return put_off(outcome, review.unjudged.front());
  if (const auto done = parts_.enforcer.set_strict(cgroup_id, false); !done)
    return put_off(outcome, done.error().message());
  outcome.retry_after = kFirstRetry;
  workload->is_judging = false;
}

void FlowQueue::put_off(Outcome& outcome, std::string obstacle) {
  outcome.obstacle = std::move(obstacle);
  outcome.retry_at = boot_now() + outcome.retry_after;
  outcome.retry_after = std::min(2 * outcome.retry_after, kLastRetry);
}

const std::vector<std::string>& FlowQueue::unattributed(std::uint64_t cgroup_id) const {
  static const std::vector<std::string> kNone;
  const auto found = outcomes_.find(cgroup_id);
  return found == outcomes_.end() ? kNone : found->second.unattributed;
}

std::optional<std::string> FlowQueue::obstacle(std::uint64_t cgroup_id) const {
  const auto found = outcomes_.find(cgroup_id);
  if (found == outcomes_.end() || found->second.obstacle.empty()) return std::nullopt;
  return found->second.obstacle;
}

}  // namespace namewall::agent
