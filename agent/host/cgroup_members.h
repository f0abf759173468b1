// Who is in a cgroup subtree, and which cgroups it has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "policy/result.h"

namespace namewall::agent {

struct CgroupMembers {
  std::vector<std::uint32_t> pids;     // of the caller's pid namespace, each once
  std::set<std::uint64_t> cgroup_ids;  // the cgroup's own and those below it
  bool is_complete = true;             // false: a bound was reached, or a member is of no pid here
};

inline constexpr std::size_t kMaxListedCgroups = 4096;
inline constexpr int kMaxCgroupDepth = 32;

// `cgroup_fd`: a directory of a cgroup2 mount, else kInvalid. At most `max_pids` processes and kMaxListedCgroups
// cgroups. Threads that have a cgroup of their own (threaded subtrees) count with their process.
Result<CgroupMembers> list_cgroup_members(int cgroup_fd, std::size_t max_pids);

// kInvalid unless the descriptor is a directory of a cgroup2 mount. The cgroup's id.
Result<std::uint64_t> check_cgroup_directory(int cgroup_fd);

// A whole file of a cgroup directory; at most 1 MiB.
Result<std::string> read_cgroup_file(int cgroup_fd, const char* name);

// Names of the child cgroups, at most `max`; false: there are more.
bool list_child_cgroups(int cgroup_fd, std::size_t max, std::vector<std::string>& names);

}  // namespace namewall::agent
