#include "bpf/pin_directory.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

namespace namewall::bpf {
namespace {

constexpr mode_t kDirectoryMode = 0700, kPinMode = 0600, kPermissionBits = 07777;

Result<FileDescriptor> open_directory(const std::string& path) {
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd) return fd;
  if (errno == ELOOP || errno == ENOTDIR)
    return fail(ErrorKind::kConflict, path + " is not a directory: somebody else took the place of namewall's pins");
  return fail_errno(errno, "cannot open " + path);
}

bool is_same_file(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

bool is_bpf(const struct statfs& filesystem) { return static_cast<std::uint64_t>(filesystem.f_type) == BPF_FS_MAGIC; }

auto no_bpf_file_system(const std::string& path) {
  return fail(ErrorKind::kUnsupported, path + " is not in a BPF file system (mount one: mount -t bpf bpf /sys/fs/bpf)");
}

// Makes the directory where it is missing; true when it did. Nothing is made in another file system.
Result<bool> make_owned_directory(const std::string& path, PinOwner owner) {
  struct statfs around {};
  if (access(path.c_str(), F_OK) != 0 && statfs(path.substr(0, path.rfind('/') + 1).c_str(), &around) == 0 &&
      !is_bpf(around)) {
    return no_bpf_file_system(path);
  }
  if (mkdir(path.c_str(), kDirectoryMode) != 0) {
    if (errno == EEXIST) return false;
    return fail_errno(errno, "cannot make the pin directory " + path);
  }
  const auto fd = open_directory(path);
  if (!fd) return tl::unexpected(fd.error());
  if (fchown(fd->get(), owner.uid, owner.gid) != 0) return fail_errno(errno, "cannot give away " + path);
  return true;
}

}  // namespace

Result<PinDirectory> PinDirectory::open(const std::string& path, PinOwner owner) {
  if (auto made = make_owned_directory(path, owner); !made) return tl::unexpected(made.error());
  auto fd = open_directory(path);
  if (!fd) return tl::unexpected(fd.error());
  struct statfs filesystem {};
  if (fstatfs(fd->get(), &filesystem) != 0) return fail_errno(errno, "cannot examine " + path);
  if (!is_bpf(filesystem)) return no_bpf_file_system(path);
  struct stat at {};
  if (fstat(fd->get(), &at) != 0) return fail_errno(errno, "cannot examine " + path);
  if (at.st_uid != owner.uid) {
    return fail(ErrorKind::kConflict, path + " belongs to user " + std::to_string(at.st_uid) + ", not to user " +
                                          std::to_string(owner.uid) + ": namewall does not use it");
  }
  if ((at.st_mode & kPermissionBits) != kDirectoryMode && fchmod(fd->get(), kDirectoryMode) != 0)
    return fail_errno(errno, "cannot close " + path + " to others");
  if (flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno(errno, "cannot lock " + path);
    return fail(ErrorKind::kConflict, "another namewalld or namewall command holds " + path);
  }
  return PinDirectory(path, owner, std::move(*fd));
}

std::string PinDirectory::path_of(const std::string& relative) const {
  return "/proc/self/fd/" + std::to_string(fd_.get()) + "/" + relative;
}

Result<void> PinDirectory::own(const std::string& relative, std::uint32_t mode) const {
  struct stat at {};
  if (fstatat(fd_.get(), relative.c_str(), &at, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(at.st_mode))
    return fail(ErrorKind::kConflict, path_ + "/" + relative + " is a symbolic link, and none of namewall's");
  if (fchownat(fd_.get(), relative.c_str(), owner_.uid, owner_.gid, AT_SYMLINK_NOFOLLOW) != 0 ||
      fchmodat(fd_.get(), relative.c_str(), mode, 0) != 0) {
    return fail_errno(errno, "cannot give away " + path_ + "/" + relative);
  }
  return {};
}

Result<void> PinDirectory::make_directory(const std::string& relative) const {
  if (mkdirat(fd_.get(), relative.c_str(), kDirectoryMode) != 0 && errno != EEXIST)
    return fail_errno(errno, "cannot make " + path_ + "/" + relative);
  return own(relative, kDirectoryMode);
}

Result<void> PinDirectory::pin(int fd, const std::string& relative) const {
  const std::string path = path_of(relative);
  int error = bpf_obj_pin(fd, path.c_str());
  if (error == -EEXIST) {
    if (auto done = remove(relative); !done) return done;
    error = bpf_obj_pin(fd, path.c_str());
  }
  if (error < 0) return fail_errno(-error, "cannot pin " + path_ + "/" + relative);
  return own(relative, kPinMode);
}

Result<FileDescriptor> PinDirectory::open_pin(const std::string& relative) const {
  const int fd = bpf_obj_get(path_of(relative).c_str());
  if (fd < 0) return fail_errno(-fd, "cannot open the pin " + path_ + "/" + relative);
  return FileDescriptor(fd);
}

Result<void> PinDirectory::rename(const std::string& from, const std::string& to) const {
  if (renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()) != 0)
    return fail_errno(errno, "cannot rename " + path_ + "/" + from);
  return {};
}

Result<void> PinDirectory::remove(const std::string& relative) const {
  if (unlinkat(fd_.get(), relative.c_str(), 0) != 0 && errno != ENOENT)
    return fail_errno(errno, "cannot remove " + path_ + "/" + relative);
  return {};
}

Result<void> PinDirectory::remove_tree(const std::string& relative) const {
  for (const std::string& name : list(relative)) {
    const std::string below = relative.empty() ? name : relative + "/" + name;
    struct stat at {};
    if (fstatat(fd_.get(), below.c_str(), &at, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (auto done = S_ISDIR(at.st_mode) ? remove_tree(below) : remove(below); !done) return done;
  }
  if (relative.empty()) return {};
  if (unlinkat(fd_.get(), relative.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return fail_errno(errno, "cannot remove " + path_ + "/" + relative);
  return {};
}

std::vector<std::string> PinDirectory::list(const std::string& relative) const {
  const char* path = relative.empty() ? "." : relative.c_str();
  const int fd = openat(fd_.get(), path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return {};
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(fd), closedir);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool PinDirectory::is_intact(const std::string& relative) const {
  struct stat at {};
  if (fstatat(fd_.get(), relative.c_str(), &at, AT_SYMLINK_NOFOLLOW) != 0) return false;
  return at.st_uid == owner_.uid && (at.st_mode & kPermissionBits) == (S_ISDIR(at.st_mode) ? kDirectoryMode : kPinMode);
}

PinDirectory::Inspection PinDirectory::inspect() {
  Inspection found;
  struct stat ours {
  }, shown{};
  if (fstat(fd_.get(), &ours) != 0) return found;
  if (ours.st_uid != owner_.uid || (ours.st_mode & kPermissionBits) != kDirectoryMode) {
    const bool done = fchown(fd_.get(), owner_.uid, owner_.gid) == 0 && fchmod(fd_.get(), kDirectoryMode) == 0;
    (done ? found.repaired : found.unrepaired).push_back("the owner or the mode of " + path_ + " was changed");
  }
  const bool is_shown = lstat(path_.c_str(), &shown) == 0;
  if (is_shown && is_same_file(ours, shown)) return found;
  if (!is_shown && errno != ENOENT) return found;  // where the path may not be looked at nobody can say
  if (is_shown) {
    found.unrepaired.push_back("something else is at " + path_ + ", namewall's pins were moved away");
    return found;
  }
  if (ours.st_nlink == 0) {
    auto made = open(path_, owner_);
    if (made) *this = std::move(*made);
    found.is_new = made.has_value();
    (made ? found.repaired : found.unrepaired).push_back(path_ + " was deleted");
    return found;
  }
  std::array<char, PATH_MAX> now{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd_.get());
  const bool is_back =
      readlink(link.c_str(), now.data(), now.size() - 1) > 0 && ::rename(now.data(), path_.c_str()) == 0;
  (is_back ? found.repaired : found.unrepaired).push_back(path_ + " was renamed");
  return found;
}

Result<void> PinDirectory::remove_itself() {
  if (rmdir(path_.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "cannot remove " + path_);
  return {};
}

}  // namespace namewall::bpf
