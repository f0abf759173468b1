#include "agent/host/cgroup_members.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>

#include "policy/file_descriptor.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxCgroupFile = 1u << 20;

class Walk {
 public:
  explicit Walk(std::size_t max_pids) : max_pids_(max_pids) {}

  void visit(int cgroup_fd, int depth) {
    struct stat status {};
    if (fstat(cgroup_fd, &status) != 0) return;
    members_.cgroup_ids.insert(status.st_ino);  // kernfs: the inode number is the cgroup id
    read_processes(cgroup_fd);
    std::vector<std::string> children;
    if (depth == kMaxCgroupDepth || members_.cgroup_ids.size() >= kMaxListedCgroups) {
      if (!list_child_cgroups(cgroup_fd, 0, children)) members_.is_complete = false;
      return;
    }
    if (!list_child_cgroups(cgroup_fd, kMaxListedCgroups, children)) members_.is_complete = false;
    for (const std::string& name : children) {
      if (members_.cgroup_ids.size() >= kMaxListedCgroups) {
        members_.is_complete = false;
        return;
      }
      const FileDescriptor child(openat(cgroup_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
      if (child) visit(child.get(), depth + 1);
    }
  }

  CgroupMembers take() {
    std::ranges::sort(members_.pids);
    members_.pids.erase(std::unique(members_.pids.begin(), members_.pids.end()), members_.pids.end());
    if (members_.pids.size() > max_pids_) {
      members_.pids.resize(max_pids_);
      members_.is_complete = false;
    }
    return std::move(members_);
  }

 private:
  void read_processes(int cgroup_fd) {
    Result<std::string> list = read_cgroup_file(cgroup_fd, "cgroup.procs");
    // A threaded cgroup does not say its processes; it says its threads, and /proc has them by any of their ids.
    if (!list && list.error().error_number == EOPNOTSUPP) list = read_cgroup_file(cgroup_fd, "cgroup.threads");
    if (!list) {
      if (list.error().error_number != ENODEV && list.error().error_number != ENOENT) members_.is_complete = false;
      return;
    }
    const char* at = list->data();
    const char* const end = at + list->size();
    while (at < end) {
      std::uint32_t pid = 0;
      const auto [next, error] = std::from_chars(at, end, pid);
      if (error != std::errc() || pid == 0) {
        members_.is_complete = false;  // 0: of an outer pid namespace
      } else if (members_.pids.size() <= max_pids_) {
        members_.pids.push_back(pid);
      }
      at = std::find(next, end, '\n');
      if (at < end) ++at;
    }
  }

  std::size_t max_pids_;
  CgroupMembers members_;
};

}  // namespace

Result<std::uint64_t> check_cgroup_directory(int cgroup_fd) {
  struct statfs file_system {};
  struct stat status {};
  if (fstatfs(cgroup_fd, &file_system) != 0 || fstat(cgroup_fd, &status) != 0) {
    return fail_errno(errno, "cannot look at the cgroup directory");
  }
  if (file_system.f_type != CGROUP2_SUPER_MAGIC || !S_ISDIR(status.st_mode)) {
    return fail(ErrorKind::kInvalid, "the descriptor is not a directory of the cgroup v2 hierarchy");
  }
  return static_cast<std::uint64_t>(status.st_ino);
}

Result<std::string> read_cgroup_file(int cgroup_fd, const char* name) {
  const FileDescriptor fd(openat(cgroup_fd, name, O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, std::string("cannot open ") + name);
  std::string text;
  char block[4096];
  ssize_t count = 0;
  while ((count = read(fd.get(), block, sizeof block)) > 0) {
    text.append(block, static_cast<std::size_t>(count));
    if (text.size() > kMaxCgroupFile) return fail(ErrorKind::kLimit, std::string(name) + " is longer than 1 MiB");
  }
  if (count < 0) return fail_errno(errno, std::string("cannot read ") + name);
  return text;
}

bool list_child_cgroups(int cgroup_fd, std::size_t max, std::vector<std::string>& names) {
  const int copy = openat(cgroup_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return errno == ENOENT;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(copy), &closedir);
  if (!directory) {
    close(copy);
    return false;
  }
  while (const dirent* entry = readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type != DT_DIR || name == "." || name == "..") continue;
    if (names.size() == max) return false;
    names.emplace_back(name);
  }
  return true;
}

Result<CgroupMembers> list_cgroup_members(int cgroup_fd, std::size_t max_pids) {
  if (const auto id = check_cgroup_directory(cgroup_fd); !id) return tl::unexpected(id.error());
  Walk walk(max_pids);
  walk.visit(cgroup_fd, 0);
  return walk.take();
}

}  // namespace namewall::agent
