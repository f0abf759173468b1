// One cgroup, opened for the kernel to work on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/host/cgroup_watcher.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

struct OpenedCgroup {
  FileDescriptor fd;
  std::uint64_t id = 0;
  // A process lives in it or below it: its sockets may be older than an arming. True where it cannot be told.
  bool is_populated() const;
};

// Whether `directory` is no longer the cgroup with this id. What cannot be looked at is not gone.
bool is_cgroup_gone(const std::string& directory, std::uint64_t id);

// `path` in the hierarchy. kNotFound: there is none; with `expected_id`, or another one has its path by now. kInvalid:
// no path of a cgroup.
Result<OpenedCgroup> open_cgroup(const CgroupWatcher& cgroups, const std::string& path,
                                 std::optional<std::uint64_t> expected_id = std::nullopt);

}  // namespace namewall::agent
