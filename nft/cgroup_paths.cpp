#include "nft/cgroup_paths.h"

#include <dirent.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>

namespace namewall::nft {

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

Result<std::uint64_t> cgroup_id_of(int cgroup_fd) {
  struct statfs filesystem {};
  struct stat at {};
  if (fstatfs(cgroup_fd, &filesystem) != 0 || fstat(cgroup_fd, &at) != 0)
    return fail_errno(errno, "cannot examine the cgroup directory");
  if (filesystem.f_type != CGROUP2_SUPER_MAGIC)
    return fail(ErrorKind::kInvalid, "the directory is not a cgroup of version 2");
  return static_cast<std::uint64_t>(at.st_ino);
}

std::optional<std::uint64_t> find_cgroup_id(const std::string& mount, const std::string& path) {
  struct stat at {};
  if (lstat((mount + path).c_str(), &at) != 0 || !S_ISDIR(at.st_mode)) return std::nullopt;
  return at.st_ino;
}

std::vector<std::pair<std::string, std::uint64_t>> child_cgroups(const std::string& mount, const std::string& path) {
  std::vector<std::pair<std::string, std::uint64_t>> children;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir((mount + path).c_str()), closedir);
  if (!directory) return children;
  const std::string prefix = path == "/" ? path : path + "/";
  while (const dirent* entry = readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type != DT_DIR || name == "." || name == "..") continue;
    children.emplace_back(prefix + std::string(name), entry->d_ino);
  }
  return children;
}

std::string path_of_cgroup(const std::string& mount, int cgroup_fd) {
  std::array<char, PATH_MAX> text{};
  const std::string link = "/proc/self/fd/" + std::to_string(cgroup_fd);
  if (readlink(link.c_str(), text.data(), text.size() - 1) <= 0) return {};
  const std::string path = text.data();
  if (path == mount) return "/";
  return path.compare(0, mount.size() + 1, mount + "/") == 0 ? path.substr(mount.size()) : "";
}

std::uint32_t depth_of(std::string_view path) {
  return path == "/" ? 0 : static_cast<std::uint32_t>(std::count(path.begin(), path.end(), '/'));
}

bool is_below(std::string_view path, std::string_view above) {
  if (above == "/") return path != "/";
  return path.size() > above.size() && path.starts_with(above) && path[above.size()] == '/';
}

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? std::string_view("/") : path.substr(0, slash);
}

}  // namespace namewall::nft
