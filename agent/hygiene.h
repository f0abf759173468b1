// The file system that the command sees: its own mount namespace in which cgroup file systems are read-only and the
// sockets of helpers that would act for it from another cgroup are covered by an empty, unreadable inode.
#pragma once

#include <string>
#include <vector>

#include "agent/keep_options.h"
#include "agent/mount_table.h"
#include "policy/result.h"

namespace namewall::agent {

// What is covered unless kept, as written in docs/run.md. A last component may end in '*'.
struct HiddenPath {
  Keep keep;
  std::string path;
};
const std::vector<HiddenPath>& hidden_paths();

// The mount points whose file system is cgroup or cgroup2, each once.
std::vector<std::string> find_cgroup_mount_points(const std::vector<Mount>& mounts);

// Moves the calling process into a mount namespace of its own; nothing outside changes. Needs CAP_SYS_ADMIN. All or an
// error: a path that exists and cannot be covered is an error, one that does not exist is none. A working directory
// inside something covered becomes "/".
Result<void> apply_hygiene(const KeepSet& keep);

}  // namespace namewall::agent
