#include "agent/host/cgroup_ends.h"

#include <sys/inotify.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/host/opened_cgroup.h"
#include "policy/cgroup_pattern.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

std::string name_in_parent(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

Result<CgroupEnds> CgroupEnds::open(std::string directory) {
  CgroupEnds ends;
  ends.directory_ = std::move(directory);
  ends.inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!ends.inotify_) return fail_errno(errno, "cannot watch cgroups");
  return ends;
}

Result<void> CgroupEnds::follow(const std::string& path, std::uint64_t cgroup_id) {
  if (paths_.contains(cgroup_id)) return {};
  const std::string parent(parent_cgroup(path));
  int watch = -1;
  if (const auto known = watches_.find(parent); known != watches_.end()) {
    watch = known->second;
  } else {
    watch = ::inotify_add_watch(inotify_.get(), (directory_ + parent).c_str(), IN_DELETE | IN_ONLYDIR);
    if (watch < 0) return fail_errno(errno, "cannot watch the cgroup " + escape_for_display(parent));
    watches_[parent] = watch;
    parents_[watch].path = parent;
  }
  const std::string name = name_in_parent(path);
  parents_[watch].children[name] = cgroup_id;
  paths_[cgroup_id] = path;
  // The watch came first: what ends from here on is told.
  if (!is_cgroup_gone(directory_ + path, cgroup_id)) return {};
  unfollow(cgroup_id);
  return fail(ErrorKind::kNotFound, "the cgroup " + escape_for_display(path) + " is gone");
}

void CgroupEnds::unfollow(std::uint64_t cgroup_id) {
  const auto found = paths_.find(cgroup_id);
  if (found == paths_.end()) return;
  const std::string path = std::move(found->second);
  paths_.erase(found);
  const auto watch = watches_.find(std::string(parent_cgroup(path)));
  if (watch != watches_.end()) leave(watch->second, name_in_parent(path));
}

void CgroupEnds::leave(int watch, const std::string& child) {
  Parent& parent = parents_[watch];
  parent.children.erase(child);
  if (!parent.children.empty()) return;
  ::inotify_rm_watch(inotify_.get(), watch);
  watches_.erase(parent.path);
  parents_.erase(watch);
}

void CgroupEnds::check_all(std::vector<std::uint64_t>& gone) {
  for (const auto& [id, path] : paths_) {
    if (is_cgroup_gone(directory_ + path, id)) gone.push_back(id);
  }
}

std::vector<std::uint64_t> CgroupEnds::consume() {
  std::vector<std::uint64_t> gone;
  alignas(inotify_event) std::array<char, 64 << 10> buffer;
  const ssize_t length = ::read(inotify_.get(), buffer.data(), buffer.size());
  for (ssize_t at = 0; at < length;) {
    inotify_event event{};
    std::memcpy(&event, buffer.data() + at, sizeof event);
    const char* name = buffer.data() + at + sizeof event;
    at += static_cast<ssize_t>(sizeof event + event.len);
    if ((event.mask & IN_Q_OVERFLOW) != 0) {
      check_all(gone);
      break;
    }
    const auto parent = parents_.find(event.wd);
    if ((event.mask & IN_DELETE) == 0 || parent == parents_.end()) continue;
    const auto child = parent->second.children.find(name);
    // Another cgroup may have the name by now, and be followed.
    if (child == parent->second.children.end()) continue;
    const auto path = paths_.find(child->second);
    if (path != paths_.end() && is_cgroup_gone(directory_ + path->second, child->second)) gone.push_back(child->second);
  }
  for (const std::uint64_t id : gone) unfollow(id);
  return gone;
}

}  // namespace namewall::agent
