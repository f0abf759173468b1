// The cgroups of the v2 hierarchy that matter to some patterns, as they come and go. Only directories on the way to a
// match are looked into and watched: "/system.slice/x.service" costs two watches, whatever the size of the host.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/host/cgroup_interest.h"
#include "agent/host/cgroup_scan.h"
#include "policy/cgroup_pattern.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"
#include "policy/workload_plan.h"

namespace namewall::agent {

// A cgroup that was removed and made anew has another id: it is in both lists. Vanished children before their parents,
// appeared parents before their children; a cgroup that came and went between two calls is in neither.
struct CgroupChanges {
  std::vector<ExistingCgroup> vanished;
  std::vector<ExistingCgroup> appeared;
  bool was_rescanned = false;  // events were lost, or rescan() was called
  bool is_incomplete = false;  // kMaxKnownCgroups or the host's inotify bound is reached: only rescan() finds the rest
};

class CgroupWatcher {
 public:
  // kUnsupported: no cgroup2 mount shows the root of the hierarchy.
  static Result<CgroupWatcher> open();
  // For tests: any directory tree. Ids are inode numbers.
  static Result<CgroupWatcher> open_at(const std::string& directory);

  int fd() const { return inotify_.get(); }  // readable when consume() has something to do
  // What matters from now on: an exact pattern for each cgroup that is armed by call, too. What mattered before and no
  // longer does has neither vanished nor appeared.
  CgroupChanges watch(const std::vector<CgroupPattern>& patterns);
  CgroupChanges consume();  // never blocks; at most 64 KiB of events a call
  CgroupChanges rescan();

  // Every cgroup on the way to a match, matches included, sorted by path; "/" is always there.
  std::vector<ExistingCgroup> existing() const;
  std::string directory_of(const std::string& path) const;  // in the file system
  std::size_t watch_count() const { return paths_by_watch_.size(); }

 private:
  struct Known {
    std::uint64_t id = 0;
    int watch = -1;  // -1: nothing below it matters
  };
  CgroupWatcher() = default;
  void refresh(const std::string& path, CgroupChanges& changes);
  void add(const ExistingCgroup& cgroup, CgroupChanges& changes);
  void survey(const std::string& path, CgroupChanges& changes);
  void survey_all(CgroupChanges& changes);
  void drop(const std::string& path, CgroupChanges& changes);
  void stop_watching(Known& known);

  std::string mount_;
  FileDescriptor inotify_;
  CgroupInterest interest_;
  std::map<std::string, Known> known_;  // by path
  std::map<int, std::string> paths_by_watch_;
};

}  // namespace namewall::agent
