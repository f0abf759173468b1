// The cgroups that exist, from the file system.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "policy/result.h"
#include "policy/workload_plan.h"

namespace namewall::agent {

inline constexpr std::size_t kMaxKnownCgroups = 262'144;

// The directory of "/" of the v2 hierarchy. kUnsupported: no mount shows it.
Result<std::string> find_cgroup_root();

// The children of `path`, whose directory is open. Those that go meanwhile are left out.
std::vector<ExistingCgroup> list_child_cgroups(int directory_fd, const std::string& path);

// All cgroups strictly below `root`, sorted by path; `mount` is the directory of "/". One that goes meanwhile is left
// out. kLimit beyond kMaxKnownCgroups. A root that is not there has nothing below it.
Result<std::vector<ExistingCgroup>> scan_cgroups(const std::string& mount, const std::string& root);

}  // namespace namewall::agent
