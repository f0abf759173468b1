#include "agent/host/process_workload.h"

#include <string>

#include "agent/cgroup_tree.h"
#include "agent/text_file.h"

namespace namewall::agent {

const Workload* find_workload_of_process(const WorkloadRegistry& registry, std::uint32_t pid) {
  const auto text = read_text_file("/proc/" + std::to_string(pid) + "/cgroup");
  const auto path = text ? parse_own_cgroup(*text) : std::nullopt;
  return path ? registry.find_holding(*path) : nullptr;
}

}  // namespace namewall::agent
