// Tells when the last process has left a cgroup (cgroup.events). One inotify watch for each.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

class EmptyCgroups {
 public:
  static Result<EmptyCgroups> open();

  // `directory`: the cgroup's. What is empty already is not told: look after this.
  Result<void> follow(const std::string& directory, std::uint64_t cgroup_id);
  void unfollow(std::uint64_t cgroup_id);
  std::size_t size() const { return ids_.size(); }
  std::vector<std::uint64_t> followed() const;

  int fd() const { return inotify_.get(); }
  // Ids of cgroups that may have become empty, each once; they are followed all the same. Never blocks.
  std::vector<std::uint64_t> consume();

 private:
  FileDescriptor inotify_;
  std::unordered_map<int, std::uint64_t> ids_;      // by watch
  std::unordered_map<std::uint64_t, int> watches_;  // by cgroup id
};

}  // namespace namewall::agent
