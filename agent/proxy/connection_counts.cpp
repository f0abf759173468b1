#include "agent/proxy/connection_counts.h"

namespace namewall::agent {

bool ConnectionCounts::admit(const Asker& asker) {
  if (all_ >= max_of_all_) return false;
  for (const AskerLevel& level : *asker) {
    const auto count = of_workload_.find(level.cgroup_id);
    if ((count == of_workload_.end() ? 0 : count->second) >= level.image->bounds.connections) return false;
  }
  for (const AskerLevel& level : *asker) ++of_workload_[level.cgroup_id];
  ++all_;
  return true;
}

void ConnectionCounts::leave(const Asker& asker) {
  for (const AskerLevel& level : *asker) {
    const auto count = of_workload_.find(level.cgroup_id);
    if (count != of_workload_.end() && --count->second == 0) of_workload_.erase(count);
  }
  --all_;
}

}  // namespace namewall::agent
