// The cgroup hierarchy seen from its root: where a cgroup of a known id is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::bpf {

// The mount point of the whole cgroup v2 hierarchy. kNotFound: this process sees none.
Result<std::string> find_cgroup_mount();

// The open directory of the cgroup at this path of the hierarchy ("/ci.slice/job"), if it is still the one of this id.
// kNotFound: it is gone.
Result<FileDescriptor> open_cgroup(const std::string& mount, const std::string& path, std::uint64_t id);

// The path in the hierarchy of an open cgroup directory; "" when it does not lie below the mount.
std::string path_in_hierarchy(const std::string& mount, int cgroup_fd);

// Every cgroup below the mount, parents before their children: path in the hierarchy and id. One that goes away
// meanwhile is left out.
void walk_cgroups(const std::string& mount,
                  const std::function<void(const std::string& path, std::uint64_t id)>& visit);

// Ids of the cgroups directly below.
std::vector<std::uint64_t> children_of(int cgroup_fd);

}  // namespace namewall::bpf
