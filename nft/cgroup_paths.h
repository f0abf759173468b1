// Where cgroups are, and which: by paths of the version 2 hierarchy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/result.h"

namespace namewall::nft {

// Where the whole hierarchy is mounted. kNotFound: this process sees none.
Result<std::string> find_cgroup_mount();
// The id of an open cgroup directory. kInvalid: it is none of version 2.
Result<std::uint64_t> cgroup_id_of(int cgroup_fd);
// nullopt: there is no such cgroup.
std::optional<std::uint64_t> find_cgroup_id(const std::string& mount, const std::string& path);
// Path and id of each.
std::vector<std::pair<std::string, std::uint64_t>> child_cgroups(const std::string& mount, const std::string& path);
// "" where the directory does not lie below the mount.
std::string path_of_cgroup(const std::string& mount, int cgroup_fd);

// 0: the root.
std::uint32_t depth_of(std::string_view path);
// Strictly.
bool is_below(std::string_view path, std::string_view above);
std::string_view parent_of(std::string_view path);

}  // namespace namewall::nft
