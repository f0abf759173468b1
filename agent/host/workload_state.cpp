#include "agent/host/workload_state.h"

namespace namewall::agent {

std::string_view state_of(const Workload& workload) {
  if (!workload.is_armed || !workload.failure.empty()) return "failed";
  if (workload.origin == WorkloadOrigin::kAdopted) return "adopted";
  if (workload.is_cooperative || !workload.partial.empty() || !workload.netns_holes.empty()) return "partial";
  if (workload.is_judging) return "judging";
  if (workload.policy && workload.policy->policy().mode == Mode::kAudit) return "audit";
  return "enforcing";
}

std::vector<std::string> why_of(const Workload& workload, const std::optional<std::string>& judging_obstacle) {
  std::vector<std::string> why;
  if (!workload.failure.empty()) {
    why.push_back(workload.failure);
  } else if (!workload.is_armed) {
    why.emplace_back("it is not armed yet");
  }
  if (workload.origin == WorkloadOrigin::kAdopted) {
    why.emplace_back(
        "the kernel holds it to a policy that no file and no call has any more: write its policy again, or lift it by "
        "`namewall teardown`");
  }
  if (workload.is_cooperative) {
    why.emplace_back(
        "it may write cgroup.procs outside of its cgroup, and said that it has taken that away from itself: that it "
        "stays rests on its own word");
  }
  why.insert(why.end(), workload.partial.begin(), workload.partial.end());
  why.insert(why.end(), workload.netns_holes.begin(), workload.netns_holes.end());
  if (workload.is_judging) {
    why.push_back(judging_obstacle
                      ? "sockets older than its policy could not be judged, so every packet is: " + *judging_obstacle
                      : "sockets older than its policy are being judged; until then every packet is");
  }
  if (workload.is_over) why.emplace_back("its time is over: everything is refused");
  if (workload.policy && workload.policy->policy().mode == Mode::kAudit) {
    why.emplace_back("mode is \"audit\": everything passes");
  }
  return why;
}

}  // namespace namewall::agent
