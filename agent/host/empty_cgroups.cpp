#include "agent/host/empty_cgroups.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "policy/escape.h"

namespace namewall::agent {

Result<EmptyCgroups> EmptyCgroups::open() {
  EmptyCgroups cgroups;
  cgroups.inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!cgroups.inotify_) return fail_errno(errno, "cannot watch cgroups that become empty");
  return cgroups;
}

Result<void> EmptyCgroups::follow(const std::string& directory, std::uint64_t cgroup_id) {
  unfollow(cgroup_id);
  const int watch = ::inotify_add_watch(inotify_.get(), (directory + "/cgroup.events").c_str(), IN_MODIFY);
  if (watch < 0) return fail_errno(errno, "cannot watch the cgroup " + escape_for_display(directory));
  ids_[watch] = cgroup_id;
  watches_[cgroup_id] = watch;
  return {};
}

void EmptyCgroups::unfollow(std::uint64_t cgroup_id) {
  const auto found = watches_.find(cgroup_id);
  if (found == watches_.end()) return;
  ::inotify_rm_watch(inotify_.get(), found->second);
  ids_.erase(found->second);
  watches_.erase(found);
}

std::vector<std::uint64_t> EmptyCgroups::followed() const {
  std::vector<std::uint64_t> all;
  for (const auto& [id, watch] : watches_) all.push_back(id);
  return all;
}

std::vector<std::uint64_t> EmptyCgroups::consume() {
  std::vector<std::uint64_t> changed;
  alignas(inotify_event) std::array<char, 64 << 10> buffer;
  const ssize_t length = ::read(inotify_.get(), buffer.data(), buffer.size());
  for (ssize_t at = 0; at < length;) {
    inotify_event event{};
    std::memcpy(&event, buffer.data() + at, sizeof event);
    at += static_cast<ssize_t>(sizeof event + event.len);
    if ((event.mask & IN_Q_OVERFLOW) != 0) return followed();
    const auto found = ids_.find(event.wd);
    if (found != ids_.end()) changed.push_back(found->second);
  }
  std::ranges::sort(changed);
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  return changed;
}

}  // namespace namewall::agent
