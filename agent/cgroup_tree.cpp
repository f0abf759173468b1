#include "agent/cgroup_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "agent/text_file.h"

namespace namewall::agent {
namespace {

constexpr std::string_view kPrefix = "namewall-run-";
constexpr int kMaxDepth = 32;

bool is_below(std::string_view path, std::string_view root) {
  return root == "/" || path == root || (path.starts_with(root) && path[root.size()] == '/');
}

std::vector<std::string> list_directories(int directory_fd) {
  std::vector<std::string> names;
  const int copy = ::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(copy), &::closedir);
  if (!directory) {
    ::close(copy);
    return names;
  }
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

Result<std::string> read_at(int directory_fd, const char* name) {
  const FileDescriptor fd(::openat(directory_fd, name, O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, std::string("cannot open ") + name + " of the run's cgroup");
  std::string text;
  char block[4096];
  ssize_t count = 0;
  while ((count = ::read(fd.get(), block, sizeof block)) > 0) text.append(block, static_cast<std::size_t>(count));
  if (count < 0) return fail_errno(errno, std::string("cannot read ") + name + " of the run's cgroup");
  return text;
}

// Depth first; 0 or the errno of the first cgroup that stays. A cgroup with a process in it or below it stays whole.
int remove_tree(int parent_fd, const std::string& name, int depth = 0) {
  if (::unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
  const int why = errno;
  if (why != EBUSY || depth == kMaxDepth) return why;
  const FileDescriptor directory(::openat(parent_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!directory) return errno;
  const Result<std::string> events = read_at(directory.get(), "cgroup.events");
  if (!events || events->find("populated 1") != std::string::npos) return why;
  const std::vector<std::string> children = list_directories(directory.get());
  if (children.empty()) return why;
  for (const std::string& child : children) {
    if (const int failure = remove_tree(directory.get(), child, depth + 1)) return failure;
  }
  return ::unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR) == 0 ? 0 : errno;
}

// For kernels without cgroup.kill (before 5.14): until a pass finds nobody.
Result<void> kill_by_list(int directory_fd) {
  constexpr int kMaxPasses = 1000;
  for (int pass = 0; pass < kMaxPasses; ++pass) {
    const Result<std::string> events = read_at(directory_fd, "cgroup.events");
    if (!events) return tl::unexpected(events.error());
    if (events->find("populated 1") == std::string::npos) return {};
    for (const std::string& child : list_directories(directory_fd)) {
      const FileDescriptor below(::openat(directory_fd, child.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (below) (void)kill_by_list(below.get());
    }
    const Result<std::string> list = read_at(directory_fd, "cgroup.procs");
    if (!list) return tl::unexpected(list.error());
    const char* at = list->data();
    const char* const end = at + list->size();
    while (at < end) {
      pid_t pid = 0;
      const auto [next, error] = std::from_chars(at, end, pid);
      if (error == std::errc() && pid > 0) ::kill(pid, SIGKILL);  // 0: a process of an outer pid namespace
      at = next + 1;
    }
  }
  return fail(ErrorKind::kSystem, "the processes of the run's cgroup do not end");
}

}  // namespace

std::optional<std::string> parse_own_cgroup(std::string_view proc_cgroup) {
  while (!proc_cgroup.empty()) {
    const std::size_t end = proc_cgroup.find('\n');
    const std::string_view line = proc_cgroup.substr(0, end);
    if (line.starts_with("0::/")) return std::string(line.substr(3));
    proc_cgroup.remove_prefix(end == std::string_view::npos ? proc_cgroup.size() : end + 1);
  }
  return std::nullopt;
}

std::optional<std::string> find_cgroup_directory(const std::vector<Mount>& mounts, const std::string& path) {
  // "/../x": the process is outside its cgroup namespace's root, and no path here names its cgroup.
  if (path == "/.." || path.starts_with("/../")) return std::nullopt;
  for (const Mount& mount : mounts) {
    if (mount.fs_type != "cgroup2" || !is_below(path, mount.root)) continue;
    std::string below = mount.root == "/" ? path : path.substr(mount.root.size());
    if (below == "/") below.clear();
    return mount.mount_point == "/" ? below : mount.mount_point + below;
  }
  return std::nullopt;
}

Result<std::string> find_own_cgroup_directory() {
  const Result<std::string> own = read_text_file("/proc/self/cgroup");
  if (!own) return fail(ErrorKind::kUnsupported, "this kernel has no cgroups (/proc/self/cgroup cannot be read)");
  const Result<std::string> mounts = read_text_file("/proc/self/mountinfo");
  if (!mounts) return tl::unexpected(mounts.error());
  const std::optional<std::string> path = parse_own_cgroup(*own);
  if (!path) {
    return fail(ErrorKind::kUnsupported,
                "this host has no cgroup v2 hierarchy, which namewall needs to hold a command");
  }
  std::optional<std::string> directory = find_cgroup_directory(parse_mountinfo(*mounts), *path);
  if (!directory) {
    return fail(ErrorKind::kUnsupported,
                "no cgroup2 mount shows this process's cgroup " + *path +
                    "; mount one, for example at /sys/fs/cgroup/unified (mount -t cgroup2 none DIR)");
  }
  return *directory;
}

Result<RunCgroup> RunCgroup::create(const std::string& parent) {
  constexpr int kMaxTries = 16;
  const std::string base = std::string(kPrefix) + std::to_string(::getpid());
  for (int attempt = 0; attempt < kMaxTries; ++attempt) {
    RunCgroup cgroup;
    cgroup.parent_ = parent;
    cgroup.name_ = attempt == 0 ? base : base + "-" + std::to_string(attempt);
    const std::string path = parent + "/" + cgroup.name_;
    if (::mkdir(path.c_str(), 0755) != 0) {
      if (errno == EEXIST) continue;
      return fail_errno(errno, "cannot create the cgroup " + path);
    }
    cgroup.fd_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    struct stat held {};
    if (!cgroup.fd_ || ::flock(cgroup.fd_.get(), LOCK_EX) != 0 || ::fstat(cgroup.fd_.get(), &held) != 0) {
      const int why = errno;
      if (cgroup.fd_ || why != ENOENT) {
        ::rmdir(path.c_str());
        return fail_errno(why, "cannot open the cgroup " + path);
      }
      continue;
    }
    // A remover of leftovers may have taken the directory between mkdir and the lock.
    struct stat named {};
    if (::stat(path.c_str(), &named) != 0 || named.st_ino != held.st_ino) continue;
    cgroup.id_ = held.st_ino;  // kernfs: the inode number is the cgroup id (64-bit ino_t)
    return cgroup;
  }
  return fail(ErrorKind::kConflict, "cannot create a cgroup below " + parent + ": its names are taken");
}

Result<bool> RunCgroup::is_populated() const {
  const Result<std::string> events = read_at(fd_.get(), "cgroup.events");
  if (!events) return tl::unexpected(events.error());
  return events->find("populated 1") != std::string::npos;
}

Result<void> RunCgroup::kill_all() const {
  const FileDescriptor kill_file(::openat(fd_.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC));
  if (kill_file && ::write(kill_file.get(), "1", 1) == 1) return {};
  return kill_by_list(fd_.get());
}

Result<void> RunCgroup::remove() {
  const FileDescriptor parent_fd(::open(parent_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent_fd) return fail_errno(errno, "cannot open the cgroup " + parent_);
  if (const int why = remove_tree(parent_fd.get(), name_)) {
    return fail_errno(why, "cannot remove the cgroup " + parent_ + "/" + name_);
  }
  return {};
}

std::size_t remove_leftovers(const std::string& parent) {
  std::size_t removed = 0;
  const FileDescriptor parent_fd(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent_fd) return removed;
  for (const std::string& name : list_directories(parent_fd.get())) {
    if (!name.starts_with(kPrefix)) continue;
    const FileDescriptor directory(
        ::openat(parent_fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!directory || ::flock(directory.get(), LOCK_EX | LOCK_NB) != 0) continue;  // its maker lives
    if (remove_tree(parent_fd.get(), name) == 0) ++removed;
  }
  return removed;
}

}  // namespace namewall::agent
