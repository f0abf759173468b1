#include "agent/host/cgroup_scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string_view>

#include "agent/cgroup_tree.h"
#include "agent/mount_table.h"
#include "agent/text_file.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {

Result<std::string> find_cgroup_root() {
  const Result<std::string> mounts = read_text_file("/proc/self/mountinfo");
  if (!mounts) return tl::unexpected(mounts.error());
  const std::optional<std::string> directory = find_cgroup_directory(parse_mountinfo(*mounts), "/");
  if (!directory) {
    return fail(ErrorKind::kUnsupported,
                "no mount shows the root of the cgroup v2 hierarchy, whose cgroups are watched");
  }
  return *directory;
}

std::vector<ExistingCgroup> list_child_cgroups(int directory_fd, const std::string& path) {
  std::vector<ExistingCgroup> children;
  const int copy = ::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return children;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(copy), &::closedir);
  if (!entries) {
    ::close(copy);
    return children;
  }
  const std::string prefix = path == "/" ? "/" : path + "/";
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type != DT_DIR || name == "." || name == "..") continue;
    struct stat status {};
    if (::fstatat(copy, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    children.push_back({prefix + entry->d_name, status.st_ino});
  }
  return children;
}

Result<std::vector<ExistingCgroup>> scan_cgroups(const std::string& mount, const std::string& root) {
  std::vector<ExistingCgroup> found;
  std::vector<std::string> to_visit = {root};
  while (!to_visit.empty()) {
    const std::string path = std::move(to_visit.back());
    to_visit.pop_back();
    const FileDescriptor directory(::open((mount + path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!directory && (errno == ENOENT || errno == ENODEV)) continue;
    if (!directory) return fail_errno(errno, "cannot open the cgroup " + path);
    for (ExistingCgroup& child : list_child_cgroups(directory.get(), path)) {
      if (found.size() == kMaxKnownCgroups) {
        return fail(ErrorKind::kLimit,
                    "there are more than " + std::to_string(kMaxKnownCgroups) + " cgroups below " + root);
      }
      to_visit.push_back(child.path);
      found.push_back(std::move(child));
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace namewall::agent
