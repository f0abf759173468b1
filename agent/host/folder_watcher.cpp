#include "agent/host/folder_watcher.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace namewall::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |
                                  IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
// Links of the folder that lead out of it; further ones are seen by `namewall reload` only. As many other files.
constexpr std::size_t kMaxLinks = 64;

// Where something is looked for, and under which name; "": anything in there.
struct Place {
  fs::path directory;
  std::string name;
  bool has_to_be_watched = true;
};

void add_file(const fs::path& path, std::vector<Place>& places) {
  places.push_back({path.parent_path(), path.filename(), true});
  std::error_code failed;
  const fs::path real = fs::canonical(path, failed);
  if (!failed && real != path) places.push_back({real.parent_path(), real.filename(), true});
}

std::vector<Place> find_places(const fs::path& folder, const fs::path& host_file, const std::set<std::string>& others) {
  std::vector<Place> places;
  add_file(folder, places);
  add_file(host_file, places);
  const std::size_t own = places.size();
  for (const std::string& other : others) add_file(other, places);
  for (std::size_t i = own; i < places.size(); ++i) places[i].has_to_be_watched = false;
  places.push_back({folder, "", true});
  std::error_code failed;
  std::size_t links = 0;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end && links < kMaxLinks;
       it.increment(failed)) {
    std::error_code ignored;
    if (it->is_symlink(ignored)) add_file(it->path(), places), ++links;
  }
  return places;
}

// Editors' scratch files; "..data" is how a ConfigMap is swapped.
bool is_scratch(std::string_view name) { return name.starts_with('.') && !name.starts_with(".."); }

Result<void> add_to(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno(errno, "cannot watch the policy folder");
  return {};
}

}  // namespace

Result<FolderWatcher> FolderWatcher::open(const std::string& directory, const std::string& host_file) {
  FolderWatcher watcher;
  watcher.directory_ = fs::path(directory).lexically_normal();
  if (watcher.directory_.size() > 1 && watcher.directory_.ends_with('/')) watcher.directory_.pop_back();
  watcher.host_file_ = host_file;
  watcher.inotify_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  watcher.timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  watcher.epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!watcher.inotify_ || !watcher.timer_ || !watcher.epoll_)
    return fail_errno(errno, "cannot watch the policy folder");
  for (const int fd : {watcher.inotify_.get(), watcher.timer_.get()}) {
    if (const Result<void> added = add_to(watcher.epoll_.get(), fd); !added) return tl::unexpected(added.error());
  }
  if (const Result<void> renewed = watcher.renew_watches(); !renewed) return tl::unexpected(renewed.error());
  return watcher;
}

Result<void> FolderWatcher::watch_also(std::set<std::string> files) {
  while (files.size() > kMaxLinks) files.erase(std::prev(files.end()));
  if (files == others_) return {};
  others_ = std::move(files);
  return renew_watches();
}

// Of a directory that is not there, the nearest one above that is has the name to wait for.
Result<void> FolderWatcher::renew_watches() {
  std::map<int, std::set<std::string>> renewed;
  for (Place place : find_places(directory_, host_file_, others_)) {
    int watch = ::inotify_add_watch(inotify_.get(), place.directory.c_str(), kEvents);
    while (watch < 0 && (errno == ENOENT || errno == ENOTDIR) && place.directory.has_relative_path()) {
      place = {place.directory.parent_path(), place.directory.filename(), place.has_to_be_watched};
      watch = ::inotify_add_watch(inotify_.get(), place.directory.c_str(), kEvents);
    }
    if (watch < 0 && !place.has_to_be_watched) continue;
    if (watch < 0) return fail_errno(errno, "cannot watch " + place.directory.string());
    renewed[watch].insert(place.name);
  }
  for (const auto& [watch, names] : watched_) {
    if (!renewed.contains(watch)) ::inotify_rm_watch(inotify_.get(), watch);
  }
  watched_ = std::move(renewed);
  return {};
}

// Whether one of the events that are there matters.
bool FolderWatcher::read_events() {
  alignas(inotify_event) std::array<char, 65536> buffer;
  bool matters = false;
  for (ssize_t size = 0; (size = ::read(inotify_.get(), buffer.data(), buffer.size())) > 0;) {
    for (ssize_t at = 0; at < size;) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const std::string_view name = event.len > 0 ? buffer.data() + at + sizeof event : "";
      at += static_cast<ssize_t>(sizeof event + event.len);
      const auto watched = watched_.find(event.wd);
      const bool is_lost = (event.mask & IN_Q_OVERFLOW) != 0;
      const bool is_self = (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
      const bool is_wanted = watched != watched_.end() && (is_self || watched->second.contains(std::string(name)) ||
                                                           (watched->second.contains("") && !is_scratch(name)));
      matters = matters || is_lost || (is_wanted && (event.mask & IN_IGNORED) == 0);
    }
  }
  return matters;
}

Result<bool> FolderWatcher::consume() {
  const auto now = std::chrono::steady_clock::now();
  if (read_events()) {
    if (!is_settling_) first_event_ = now;
    is_settling_ = true;
    const auto latest = first_event_ + kLongest - now;
    const auto wait = std::clamp<std::chrono::nanoseconds>(latest, std::chrono::nanoseconds(1), kSettle);
    itimerspec timer{};
    timer.it_value.tv_nsec = wait.count();
    if (::timerfd_settime(timer_.get(), 0, &timer, nullptr) != 0) {
      return fail_errno(errno, "cannot set the timer of the policy folder");
    }
  }
  std::uint64_t expirations = 0;
  if (::read(timer_.get(), &expirations, sizeof expirations) != sizeof expirations) return false;
  is_settling_ = false;
  if (const Result<void> renewed = renew_watches(); !renewed) return tl::unexpected(renewed.error());
  return true;
}

}  // namespace namewall::agent
