// The cgroups that `namewall run` makes: children of the caller's own cgroup in the v2 hierarchy, wherever that is
// mounted. Each is named namewall-run-PID and locked (flock) by its maker for as long as the maker lives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/mount_table.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

// The path behind "0::" in /proc/PID/cgroup; nullopt where there is no v2 hierarchy.
std::optional<std::string> parse_own_cgroup(std::string_view proc_cgroup);

// The directory of cgroup `path` under the mount that shows it; nullopt: no cgroup2 mount shows it. Mounts of a part of
// the tree (bind mounts, containers without a cgroup namespace) count if that part holds `path`.
std::optional<std::string> find_cgroup_directory(const std::vector<Mount>& mounts, const std::string& path);

// The caller's own cgroup directory. kUnsupported: no cgroup2 here, in one sentence.
Result<std::string> find_own_cgroup_directory();

class RunCgroup {
 public:
  // mkdir, lock, open below `parent`. Nothing remains on failure.
  static Result<RunCgroup> create(const std::string& parent);
  RunCgroup(RunCgroup&&) noexcept = default;
  RunCgroup& operator=(RunCgroup&&) noexcept = default;
  // Leaves the cgroup where it is: remove() is explicit, since processes may live in it.

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }  // "namewall-run-4121"
  std::uint64_t id() const { return id_; }           // what bpf_get_current_cgroup_id() returns in it

  // From cgroup.events: a process lives in it or below it. Zombies do not count.
  Result<bool> is_populated() const;
  // SIGKILL to every process in it and below, those that are being forked included.
  Result<void> kill_all() const;
  // Removes it with its (empty) descendants. kConflict: processes live in it.
  Result<void> remove();

 private:
  RunCgroup() = default;
  std::string parent_;
  std::string name_;
  FileDescriptor fd_;
  std::uint64_t id_ = 0;
};

// Removes the empty namewall-run-* children of `parent` whose maker is gone; returns how many. What cannot be removed
// is left for the next time.
std::size_t remove_leftovers(const std::string& parent);

}  // namespace namewall::agent
