// Every cgroup below one, from the file system.
#pragma once

#include <string>
#include <vector>

#include "policy/result.h"
#include "policy/workload_plan.h"

namespace namewall::agent {

// `mount`: the directory of "/". `root` itself is not among them; sorted by path. One that goes meanwhile is left out.
// kLimit beyond kMaxKnownCgroups. A root that is not there has nothing below it.
Result<std::vector<ExistingCgroup>> scan_cgroups(const std::string& mount, const std::string& root);

}  // namespace namewall::agent
