// What the programs need to know of a cgroup, from its open directory.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/result.h"

namespace namewall::bpf {

struct CgroupIdentity {
  std::uint64_t id = 0;
  std::uint32_t level = 0;               // 0: the root of the hierarchy
  std::vector<std::uint64_t> ancestors;  // ids, the parent first
};

// kUnsupported inside a cgroup namespace, where the depth below the true root cannot be seen.
Result<CgroupIdentity> identify_cgroup(int cgroup_fd);

}  // namespace namewall::bpf
