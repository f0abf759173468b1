#include "agent/hygiene.h"

#include <fcntl.h>
#include <glob.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <set>

#include "agent/text_file.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {
namespace {

bool is_at_or_below(const std::string& path, const std::string& top) {
  return path == top || (path.starts_with(top) && path[top.size()] == '/');
}

// The real paths of everything that exists and `keep` does not name.
std::vector<std::string> find_paths_to_hide(const KeepSet& keep) {
  std::set<std::string> found;
  for (const HiddenPath& hidden : hidden_paths()) {
    if (keep.has(hidden.keep)) continue;
    glob_t matches{};
    if (::glob(hidden.path.c_str(), GLOB_NOSORT, nullptr, &matches) == 0) {
      for (std::size_t i = 0; i < matches.gl_pathc; ++i) {
        // Through symbolic links (/var/run): the cover lies on the inode's real place and so covers every link to it.
        if (char* real = ::realpath(matches.gl_pathv[i], nullptr)) {
          found.insert(real);
          ::free(real);
        }
      }
    }
    ::globfree(&matches);
  }
  return {found.begin(), found.end()};
}

// An unreadable directory and an unreadable file on a read-only tmpfs, from which the covers are bound.
constexpr const char* kCoverDirectory = "directory";
constexpr const char* kCoverFile = "file";

Result<FileDescriptor> make_cover_file_system() {
  const FileDescriptor context(static_cast<int>(::syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)));
  if (!context || ::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return fail_errno(errno, "cannot make a tmpfs to cover helper sockets with");
  }
  FileDescriptor file_system(static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC,
                                                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)));
  if (!file_system) return fail_errno(errno, "cannot mount a tmpfs to cover helper sockets with");
  mount_attr read_only{};
  read_only.attr_set = MOUNT_ATTR_RDONLY;
  if (::mkdirat(file_system.get(), kCoverDirectory, 0) != 0 ||
      ::mknodat(file_system.get(), kCoverFile, S_IFREG, 0) != 0 ||
      ::syscall(SYS_mount_setattr, file_system.get(), "", AT_EMPTY_PATH, &read_only, sizeof read_only) != 0) {
    return fail_errno(errno, "cannot make the inodes that cover helper sockets");
  }
  return file_system;
}

Result<void> hide(const FileDescriptor& covers, const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};  // gone since it was found
    return fail_errno(errno, "cannot look at " + path);
  }
  const char* cover = S_ISDIR(status.st_mode) ? kCoverDirectory : kCoverFile;
  const FileDescriptor tree(
      static_cast<int>(::syscall(SYS_open_tree, covers.get(), cover, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!tree || ::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return fail_errno(errno, "cannot cover " + path);
  }
  return {};
}

Result<void> hide_all(const std::vector<std::string>& paths) {
  // A bind mount can only be taken from a mount that has a place in this namespace (before Linux 6.15): /proc lends its
  // own, and gets it back.
  constexpr const char* kPlace = "/proc";
  const Result<FileDescriptor> covers = make_cover_file_system();
  if (!covers) return tl::unexpected(covers.error());
  if (::syscall(SYS_move_mount, covers->get(), "", AT_FDCWD, kPlace, MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return fail_errno(errno, "cannot place the tmpfs that covers helper sockets");
  }
  for (const std::string& path : paths) {
    if (auto done = hide(*covers, path); !done) return done;
  }
  if (::umount2(kPlace, MNT_DETACH) != 0)
    return fail_errno(errno, "cannot remove the tmpfs that covers helper sockets");
  return {};
}

Result<void> make_read_only(const std::string& mount_point) {
  const FileDescriptor directory(::open(mount_point.c_str(), O_PATH | O_CLOEXEC | O_NOFOLLOW));
  struct statfs status {};
  if (!directory || ::fstatfs(directory.get(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};  // another mount covers it: no path leads there
    return fail_errno(errno, "cannot look at " + mount_point);
  }
  if (status.f_type != CGROUP_SUPER_MAGIC && status.f_type != CGROUP2_SUPER_MAGIC) return {};  // covered, too
  mount_attr read_only{};
  read_only.attr_set = MOUNT_ATTR_RDONLY;
  if (::syscall(SYS_mount_setattr, directory.get(), "", AT_EMPTY_PATH, &read_only, sizeof read_only) != 0) {
    return fail_errno(errno, "cannot make " + mount_point + " read-only");
  }
  return {};
}

}  // namespace

const std::vector<HiddenPath>& hidden_paths() {
  static const std::vector<HiddenPath> paths = {
      {Keep::kBpffs, "/sys/fs/bpf"},
      {Keep::kBpffs, "/run/namewall"},
      {Keep::kNscd, "/run/nscd"},
      {Keep::kNscd, "/var/run/nscd"},
      // Not the directory: /etc/resolv.conf may be a link to a file in it.
      {Keep::kResolved, "/run/systemd/resolve/io.systemd.Resolve*"},
      {Keep::kResolved, "/run/systemd/resolve.hook"},
      {Keep::kAvahi, "/run/avahi-daemon/socket"},
      {Keep::kSssd, "/var/lib/sss/pipes"},
      {Keep::kDocker, "/run/docker.sock"},
      {Keep::kDocker, "/run/docker"},
      {Keep::kDocker, "/run/cri-dockerd.sock"},
      {Keep::kDocker, "/run/buildkit"},
      {Keep::kDocker, "/run/user/*/docker.sock"},
      {Keep::kPodman, "/run/podman"},
      {Keep::kPodman, "/run/crio"},
      {Keep::kPodman, "/run/user/*/podman"},
      {Keep::kContainerd, "/run/containerd"},
      {Keep::kContainerd, "/run/user/*/containerd-rootless"},
      {Keep::kSystemBus, "/run/dbus/system_bus_socket"},
      {Keep::kSystemBus, "/run/systemd/private"},
      {Keep::kSystemBus, "/run/systemd/io.system*"},
      {Keep::kSystemBus, "/run/systemd/userdb/io.systemd.Multiplexer"},
      {Keep::kSystemBus, "/run/user/*/bus"},
      {Keep::kSystemBus, "/run/user/*/systemd/private"},
  };
  return paths;
}

std::vector<std::string> find_cgroup_mount_points(const std::vector<Mount>& mounts) {
  std::vector<std::string> points;
  for (const Mount& mount : mounts) {
    if (mount.fs_type != "cgroup" && mount.fs_type != "cgroup2") continue;
    if (std::ranges::find(points, mount.mount_point) == points.end()) points.push_back(mount.mount_point);
  }
  return points;
}

Result<void> apply_hygiene(const KeepSet& keep) {
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno(errno, "cannot make a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return fail_errno(errno, "cannot make the mount namespace private");
  }
  if (!keep.has(Keep::kCgroupfs)) {
    const Result<std::string> mountinfo = read_text_file("/proc/self/mountinfo");
    if (!mountinfo) return tl::unexpected(mountinfo.error());
    for (const std::string& point : find_cgroup_mount_points(parse_mountinfo(*mountinfo))) {
      if (auto done = make_read_only(point); !done) return done;
    }
  }
  const std::vector<std::string> paths = find_paths_to_hide(keep);
  if (paths.empty()) return {};
  if (auto done = hide_all(paths); !done) return done;
  // A working directory is a reference past every cover.
  char directory[PATH_MAX];
  if (::getcwd(directory, sizeof directory) != nullptr) {
    const bool is_covered =
        std::ranges::any_of(paths, [&](const std::string& path) { return is_at_or_below(directory, path); });
    if (is_covered && ::chdir("/") != 0) return fail_errno(errno, "cannot leave a covered working directory");
  }
  return {};
}

}  // namespace namewall::agent
