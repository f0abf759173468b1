// journald's socket in a mount namespace of its own, so that the host's journal (or none) stays as it is.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "tests/kernel/support/owned_fd.h"

namespace namewall::kernel_tests {

// Runs `work` in a child process whose /run is empty; its answer, or "failed: ..." when the child could not begin or
// did not end by itself.
std::string in_own_run_directory(const std::function<std::string()>& work);

class FakeJournal {
 public:
  // Binds /run/systemd/journal/socket.
  FakeJournal();

  struct Entry {
    std::map<std::string, std::string> fields;
  };
  // Waits for the next entry, at most some seconds; without fields if none comes or it does not parse.
  Entry take();
  void close() { socket_.reset(); }

 private:
  OwnedFd socket_;
};

}  // namespace namewall::kernel_tests
