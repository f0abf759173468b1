// Tells when cgroups are removed: those that were armed by call, whatever the patterns of the folder. Costs one inotify
// watch for each parent directory (kernfs tells the parent alone), so that following one more is O(1).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

class CgroupEnds {
 public:
  // `directory`: where "/" of the hierarchy is mounted.
  static Result<CgroupEnds> open(std::string directory);

  // kNotFound: it is gone already, or another cgroup has its path. Again: no change.
  Result<void> follow(const std::string& path, std::uint64_t cgroup_id);
  void unfollow(std::uint64_t cgroup_id);

  int fd() const { return inotify_.get(); }
  // Ids of followed cgroups that are gone; they are followed no more. Never blocks.
  std::vector<std::uint64_t> consume();

 private:
  struct Parent {
    std::string path;
    std::unordered_map<std::string, std::uint64_t> children;  // followed, by name
  };
  CgroupEnds() = default;
  void leave(int watch, const std::string& child);
  void check_all(std::vector<std::uint64_t>& gone);

  std::string directory_;
  FileDescriptor inotify_;
  std::unordered_map<int, Parent> parents_;  // by watch
  std::unordered_map<std::string, int> watches_;
  std::unordered_map<std::uint64_t, std::string> paths_;  // of what is followed
};

}  // namespace namewall::agent
