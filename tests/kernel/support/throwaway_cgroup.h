// A cgroup below the test's own, with a name nobody else has. On destruction its processes are killed and it and its
// children are removed; what a crashed run left behind is removed when the first one of a process is made.
#pragma once

#include <string>

#include "tests/kernel/support/owned_fd.h"

namespace namewall::kernel_tests {

class ThrowawayCgroup {
 public:
  ThrowawayCgroup();                                        // a child of the test's own cgroup
  explicit ThrowawayCgroup(const ThrowawayCgroup& parent);  // a child of another throw-away one
  ThrowawayCgroup& operator=(const ThrowawayCgroup&) = delete;
  ~ThrowawayCgroup();

  const std::string& path() const { return path_; }
  int fd() const { return directory_.get(); }
  // Moves the calling process in; false with errno on failure. Async-signal-safe enough for a forked child.
  bool enter() const;
  // Kills what is inside and removes the directory now; true when it is gone.
  bool remove();

 private:
  void create(const std::string& parent);
  std::string path_;
  OwnedFd directory_;
  OwnedFd procs_;
};

// Moves the calling process into the cgroup that the test itself runs in: out of every throw-away one.
bool enter_outer_cgroup();

}  // namespace namewall::kernel_tests
