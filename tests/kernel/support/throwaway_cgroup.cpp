#include "tests/kernel/support/throwaway_cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/kernel/support/cgroup_mount.h"

namespace namewall::kernel_tests {
namespace {

constexpr char kPrefix[] = "nwharness-";

std::vector<std::string> child_directories(const std::string& path) {
  std::vector<std::string> children;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return children;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') children.push_back(path + "/" + entry->d_name);
  }
  closedir(directory);
  return children;
}

bool remove_tree(const std::string& path) {
  for (const auto& child : child_directories(path)) remove_tree(child);
  // A killed process leaves its cgroup a moment after the signal.
  for (int attempt = 0; attempt < 400; ++attempt) {
    if (rmdir(path.c_str()) == 0 || errno == ENOENT) return true;
    std::ofstream(path + "/cgroup.kill") << "1";
    std::ifstream processes(path + "/cgroup.procs");
    for (pid_t pid; processes >> pid;) {
      if (pid > 0 && pid != getpid()) kill(pid, SIGKILL);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

// Names are nwharness-PID-N: those of dead processes belong to nobody.
void remove_leftovers(const std::string& parent) {
  for (const auto& child : child_directories(parent)) {
    const auto name = child.substr(child.rfind('/') + 1);
    if (name.rfind(kPrefix, 0) != 0) continue;
    const pid_t owner = std::atoi(name.c_str() + sizeof(kPrefix) - 1);
    if (owner > 0 && kill(owner, 0) != 0 && errno == ESRCH) remove_tree(child);
  }
}

}  // namespace

ThrowawayCgroup::ThrowawayCgroup() {
  const auto own = find_own_cgroup();
  if (!own) {
    ADD_FAILURE() << "no cgroup2 hierarchy";
    return;
  }
  static std::once_flag leftovers_removed;
  std::call_once(leftovers_removed, remove_leftovers, *own);
  create(*own);
}

ThrowawayCgroup::ThrowawayCgroup(const ThrowawayCgroup& parent) { create(parent.path_); }

void ThrowawayCgroup::create(const std::string& parent) {
  static std::atomic<int> count{0};
  path_ = parent + "/" + kPrefix + std::to_string(getpid()) + "-" + std::to_string(++count);
  if (mkdir(path_.c_str(), 0755) != 0) {
    ADD_FAILURE() << "mkdir " << path_ << ": " << std::strerror(errno);
    return;
  }
  directory_ = OwnedFd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  procs_ = OwnedFd(open((path_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
}

ThrowawayCgroup::~ThrowawayCgroup() {
  if (!path_.empty() && !remove()) ADD_FAILURE() << path_ << " could not be removed";
}

bool ThrowawayCgroup::enter() const { return write(procs_.get(), "0", 1) == 1; }

bool ThrowawayCgroup::remove() {
  procs_.reset();
  directory_.reset();
  return remove_tree(path_);
}

bool enter_outer_cgroup() {
  // /proc/self/cgroup names the throw-away cgroup by now: its path up to our prefix is the outer one.
  const auto inner = find_own_cgroup();
  if (!inner) return false;
  const auto end = inner->find(std::string("/") + kPrefix);
  const auto outer = inner->substr(0, end) + "/cgroup.procs";
  const OwnedFd procs(open(outer.c_str(), O_WRONLY | O_CLOEXEC));
  return procs && write(procs.get(), "0", 1) == 1;
}

}  // namespace namewall::kernel_tests
