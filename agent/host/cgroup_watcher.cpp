#include "agent/host/cgroup_watcher.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>

namespace namewall::agent {
namespace {

constexpr std::uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;

std::string join(const std::string& directory, const char* name) {
  return directory == "/" ? directory + name : directory + "/" + name;
}

// Takes out what is as often in both lists (it came and went, or went and came back), and orders the rest.
void settle(CgroupChanges& changes) {
  const std::multiset<ExistingCgroup> vanished(changes.vanished.begin(), changes.vanished.end());
  const std::multiset<ExistingCgroup> appeared(changes.appeared.begin(), changes.appeared.end());
  changes.vanished.clear();
  changes.appeared.clear();
  std::set_difference(vanished.rbegin(), vanished.rend(), appeared.rbegin(), appeared.rend(),
                      std::back_inserter(changes.vanished), std::greater<>());
  std::set_difference(appeared.begin(), appeared.end(), vanished.begin(), vanished.end(),
                      std::back_inserter(changes.appeared));
}

}  // namespace

Result<CgroupWatcher> CgroupWatcher::open() {
  const Result<std::string> root = find_cgroup_root();
  if (!root) return tl::unexpected(root.error());
  return open_at(*root);
}

Result<CgroupWatcher> CgroupWatcher::open_at(const std::string& directory) {
  CgroupWatcher watcher;
  watcher.mount_ = directory;
  watcher.inotify_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!watcher.inotify_) return fail_errno(errno, "cannot watch cgroups");
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) return fail_errno(errno, "cannot examine " + directory);
  watcher.known_["/"].id = status.st_ino;
  return watcher;
}

std::string CgroupWatcher::directory_of(const std::string& path) const { return path == "/" ? mount_ : mount_ + path; }

std::vector<ExistingCgroup> CgroupWatcher::existing() const {
  std::vector<ExistingCgroup> cgroups;
  for (const auto& [path, known] : known_) cgroups.push_back({path, known.id});
  return cgroups;
}

void CgroupWatcher::stop_watching(Known& known) {
  if (known.watch < 0) return;
  ::inotify_rm_watch(inotify_.get(), known.watch);  // EINVAL: it went with its directory
  paths_by_watch_.erase(known.watch);
  known.watch = -1;
}

void CgroupWatcher::drop(const std::string& path, CgroupChanges& changes) {
  const auto erase = [&](std::map<std::string, Known>::iterator it) {
    changes.vanished.push_back({it->first, it->second.id});
    stop_watching(it->second);
    return known_.erase(it);
  };
  const std::string below = path + "/";
  for (auto it = known_.lower_bound(below); it != known_.end() && it->first.starts_with(below);) it = erase(it);
  erase(known_.find(path));
}

void CgroupWatcher::add(const ExistingCgroup& cgroup, CgroupChanges& changes) {
  if (known_.size() >= kMaxKnownCgroups) {
    changes.is_incomplete = true;
    return;
  }
  known_[cgroup.path].id = cgroup.id;
  changes.appeared.push_back(cgroup);
  survey(cgroup.path, changes);
}

// Watches a known cgroup before it lists its children: what is made between the two is found twice, never missed.
void CgroupWatcher::survey(const std::string& path, CgroupChanges& changes) {
  if (!interest_.includes_children_of(path)) return;
  std::vector<ExistingCgroup> children;
  {
    Known& known = known_[path];
    const FileDescriptor directory(::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    struct stat status {};
    // Gone, or another one by now: its parent's watch says so next.
    if (!directory || ::fstat(directory.get(), &status) != 0 || status.st_ino != known.id) return;
    if (known.watch < 0) {
      const std::string opened = "/proc/self/fd/" + std::to_string(directory.get());
      known.watch = ::inotify_add_watch(inotify_.get(), opened.c_str(), kEvents);
      if (known.watch >= 0) paths_by_watch_[known.watch] = path;
      if (known.watch < 0) changes.is_incomplete = true;
    }
    children = list_child_cgroups(directory.get(), path);
  }
  for (const ExistingCgroup& child : children) {
    if (!interest_.includes(child.path)) continue;
    const auto known = known_.find(child.path);
    if (known != known_.end() && known->second.id == child.id) {
      survey(child.path, changes);
    } else {
      if (known != known_.end()) drop(child.path, changes);
      add(child, changes);
    }
  }
}

// Brings what is known of one path in line with what is there; where that is so already, does nothing.
void CgroupWatcher::refresh(const std::string& path, CgroupChanges& changes) {
  if (!interest_.includes(path)) return;
  struct stat status {};
  const bool exists = ::lstat(directory_of(path).c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  const auto known = known_.find(path);
  if (known != known_.end()) {
    if (exists && status.st_ino == known->second.id) return;
    drop(path, changes);
  }
  if (exists) add({path, status.st_ino}, changes);
}

void CgroupWatcher::survey_all(CgroupChanges& changes) {
  std::vector<std::string> paths;
  for (const auto& [path, known] : known_) {
    if (path != "/") paths.push_back(path);
  }
  for (const std::string& path : paths) {
    if (known_.contains(path)) refresh(path, changes);
  }
  survey("/", changes);
}

CgroupChanges CgroupWatcher::watch(const std::vector<CgroupPattern>& patterns) {
  interest_ = CgroupInterest(patterns);
  for (auto it = known_.begin(); it != known_.end();) {
    if (!interest_.includes_children_of(it->first)) stop_watching(it->second);
    it = interest_.includes(it->first) ? std::next(it) : known_.erase(it);
  }
  CgroupChanges changes;
  survey_all(changes);
  settle(changes);
  return changes;
}

CgroupChanges CgroupWatcher::rescan() {
  CgroupChanges changes;
  changes.was_rescanned = true;
  survey_all(changes);
  settle(changes);
  return changes;
}

CgroupChanges CgroupWatcher::consume() {
  alignas(inotify_event) std::array<char, 65536> buffer;
  CgroupChanges changes;
  const ssize_t size = ::read(inotify_.get(), buffer.data(), buffer.size());
  for (ssize_t at = 0; at < size;) {
    inotify_event event;
    std::memcpy(&event, buffer.data() + at, sizeof event);
    const char* const name = buffer.data() + at + sizeof event;
    at += static_cast<ssize_t>(sizeof event + event.len);
    if ((event.mask & IN_Q_OVERFLOW) != 0) changes.was_rescanned = true;
    const auto parent = paths_by_watch_.find(event.wd);
    if (parent == paths_by_watch_.end()) continue;  // of a watch that has ended
    if ((event.mask & IN_IGNORED) != 0) {
      // The directory is gone. One in its place may have its inode number, in file systems other than cgroup2.
      const std::string path = parent->second;
      paths_by_watch_.erase(parent);
      known_[path].watch = -1;
      survey(path, changes);
    } else if ((event.mask & IN_ISDIR) != 0 && event.len > 0) {
      refresh(join(parent->second, name), changes);
    }
  }
  if (changes.was_rescanned) survey_all(changes);
  settle(changes);
  return changes;
}

}  // namespace namewall::agent
