// Which cgroup `arm` and `teardown` mean: a path, a systemd unit, a process, the caller itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/mount_table.h"
#include "bpf/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

// Exactly one.
struct CgroupChoice {
  std::string path;  // in the hierarchy ("/ci.slice/job"), or a directory below a cgroup2 mount
  std::string unit;
  int pid = 0;
  bool self = false;
};

struct ChosenCgroup {
  std::string path;       // in the hierarchy
  std::string directory;  // where a mount shows it
  FileDescriptor fd;
  std::uint64_t id = 0;
};

// kNotFound: no such cgroup, process, or running unit. kConflict: several cgroups have the unit's name. kInvalid: the
// root cgroup, which holds the whole host.
Result<ChosenCgroup> find_cgroup(const CgroupChoice& choice);

// The path in the hierarchy of a directory below a cgroup2 mount; nullopt: it is below none.
std::optional<std::string> cgroup_path_of(const std::vector<Mount>& mounts, const std::string& directory);
// systemd runs the commands around a delegated unit's own in "UNIT/.control": the unit is meant.
std::string unit_cgroup_of(std::string path);

// Whether a process other than the caller lives in it or below: its sockets may be older than an arming.
Result<bool> has_other_processes(const ChosenCgroup& cgroup);

}  // namespace namewall::agent
