// Tells that policy files may have changed: the folder, host.toml, and what symbolic links lead to, also when a link or
// the folder itself is swapped. Many events that follow each other are one change.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

class FolderWatcher {
 public:
  static constexpr std::chrono::milliseconds kSettle{50};     // quiet for that long: settled
  static constexpr std::chrono::milliseconds kLongest{1000};  // never later than that after the first event

  static Result<FolderWatcher> open(const std::string& directory, const std::string& host_file);

  // Readable when consume() has something to do.
  int fd() const { return epoll_.get(); }
  // From now on also these files, which policies of the folder refer to, the first 64 of them; links are followed as
  // the folder's are. What cannot be watched is left out.
  Result<void> watch_also(std::set<std::string> files);
  // True once for each settled change; the watches are up to date by then: read the folder after it. Never blocks.
  Result<bool> consume();

 private:
  FolderWatcher() = default;
  Result<void> renew_watches();
  bool read_events();
  std::string directory_;
  std::string host_file_;
  std::set<std::string> others_;
  FileDescriptor inotify_, timer_, epoll_;
  std::map<int, std::set<std::string>> watched_;  // by watch descriptor: the names that matter there; "": all
  std::chrono::steady_clock::time_point first_event_{};
  bool is_settling_ = false;
};

}  // namespace namewall::agent
