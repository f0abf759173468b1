#include "agent/host/reap_round.h"

namespace namewall::agent {

void ReapRound::tick() {
  if (round_.empty()) {
    parts_.registry.each([&](const Workload& workload) {
      if (workload.is_armed) round_.push_back(workload.cgroup_id);
    });
    share_ = round_.size() / kTicksPerRound + 1;
  }
  for (std::size_t i = 0; i < share_ && !round_.empty(); ++i) {
    // One that is gone meanwhile has nothing to reap.
    (void)parts_.enforcer.reap(round_.front());
    round_.pop_front();
  }
}

}  // namespace namewall::agent
