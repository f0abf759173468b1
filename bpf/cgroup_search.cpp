#include "bpf/cgroup_search.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>

namespace namewall::bpf {
namespace {

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

struct Child {
  std::string name;
  std::uint64_t id;  // a cgroup's id is its inode number
};

std::vector<Child> list_children(int cgroup_fd) {
  const int fd = openat(cgroup_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return {};
  const Directory directory(fdopendir(fd), closedir);
  std::vector<Child> children;
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_type != DT_DIR || std::string_view(entry->d_name) == "." || std::string_view(entry->d_name) == "..")
      continue;
    children.push_back({entry->d_name, entry->d_ino});
  }
  return children;
}

void walk(int cgroup_fd, const std::string& path, const std::function<void(const std::string&, std::uint64_t)>& visit) {
  for (const Child& child : list_children(cgroup_fd)) {
    const std::string below = path + "/" + child.name;
    visit(below, child.id);
    const FileDescriptor fd(openat(cgroup_fd, child.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd) walk(fd.get(), below, visit);
  }
}

}  // namespace

// mountinfo: id parent major:minor root mount-point options [tags...] - type source options
Result<std::string> find_cgroup_mount() {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" - cgroup2 ") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string id, parent, device, root, point;
    fields >> id >> parent >> device >> root >> point;
    if (root == "/") return point;
  }
  return fail(ErrorKind::kNotFound, "no cgroup v2 hierarchy is mounted here");
}

Result<FileDescriptor> open_cgroup(const std::string& mount, const std::string& path, std::uint64_t id) {
  FileDescriptor fd(open((mount + path).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat at {};
  if (!fd || fstat(fd.get(), &at) != 0) return fail_errno(errno, "cannot open the cgroup " + path);
  if (at.st_ino != id) return fail(ErrorKind::kNotFound, "the cgroup " + path + " is another one now");
  return fd;
}

std::string path_in_hierarchy(const std::string& mount, int cgroup_fd) {
  std::array<char, PATH_MAX> text{};
  const std::string link = "/proc/self/fd/" + std::to_string(cgroup_fd);
  if (readlink(link.c_str(), text.data(), text.size() - 1) <= 0) return {};
  const std::string path = text.data();
  if (path == mount) return "/";
  return path.compare(0, mount.size() + 1, mount + "/") == 0 ? path.substr(mount.size()) : "";
}

void walk_cgroups(const std::string& mount,
                  const std::function<void(const std::string& path, std::uint64_t id)>& visit) {
  const FileDescriptor root(open(mount.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat at {};
  if (!root || fstat(root.get(), &at) != 0) return;
  visit("/", at.st_ino);
  walk(root.get(), "", visit);
}

std::vector<std::uint64_t> children_of(int cgroup_fd) {
  std::vector<std::uint64_t> ids;
  for (const Child& child : list_children(cgroup_fd)) ids.push_back(child.id);
  return ids;
}

}  // namespace namewall::bpf
