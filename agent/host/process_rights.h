// Who a process is to the file system, and what that lets it do. The decision is pure.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace namewall::agent {

struct ProcessRights {
  uid_t uid = 0;  // of the file system, in the reader's user namespace
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::uint64_t effective = 0;  // capabilities
};

// From /proc/PID/status (proc_pid_status(5)).
std::optional<ProcessRights> parse_process_rights(std::string_view status);

// By the permission bits alone: without capabilities, access lists and mounts. `wanted`: 2 write, 1 search.
bool is_permitted(const ProcessRights& rights, const struct stat& file, unsigned wanted);

// Whether mountinfo has a cgroup2 mount that may be written.
bool has_writable_cgroup_mount(std::string_view mountinfo);

}  // namespace namewall::agent
