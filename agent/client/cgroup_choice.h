// Which cgroup `arm` and `teardown` mean: a path, a systemd service, a process, the caller itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/mount_table.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

// One of them is set.
struct CgroupChoice {
  std::string path;  // in the hierarchy ("/ci.slice/job"), or a directory below a cgroup2 mount
  std::string unit;
  int pid = 0;
  bool self = false;
};

struct ChosenCgroup {
  std::string path;  // in the hierarchy
  FileDescriptor fd;
  std::uint64_t id = 0;
};

// kNotFound: no such cgroup, process, or running service. kConflict: several cgroups have the service's name. kInvalid:
// the root cgroup, which holds the whole host.
Result<ChosenCgroup> find_cgroup(const CgroupChoice& choice);

// Whether a process other than the caller lives in it or below: its sockets may be older than an arming.
bool has_other_processes(const ChosenCgroup& cgroup);

// Below: pure.

// The path in the hierarchy of a directory below a cgroup2 mount; nullopt: it is below none.
std::optional<std::string> cgroup_path_of(const std::vector<Mount>& mounts, std::string_view directory);
// systemd runs the commands around a delegated service's own in "SERVICE/.control": the service is meant.
std::string service_cgroup_of(std::string path);
// The name of a workload that is a service: the last part of its cgroup, without ".service"; "-" for what a workload's
// name may not have.
std::string workload_name_of(std::string_view cgroup_path);

}  // namespace namewall::agent
