#include "bpf/cgroup_handle.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

#include "policy/file_descriptor.h"

namespace namewall::bpf {
namespace {

constexpr std::uint64_t kRootCgroupId =
    1;  // kernfs: the inode number of the root, and a cgroup's id is its inode number
constexpr std::uint32_t kMaxLevels = 256;

}  // namespace

Result<CgroupIdentity> identify_cgroup(int cgroup_fd) {
  struct statfs filesystem {};
  if (fstatfs(cgroup_fd, &filesystem) != 0) return fail_errno(errno, "cannot examine the cgroup directory");
  if (filesystem.f_type != CGROUP2_SUPER_MAGIC)
    return fail(ErrorKind::kInvalid, "the directory is not a cgroup of version 2");
  struct stat at {};
  if (fstat(cgroup_fd, &at) != 0) return fail_errno(errno, "cannot examine the cgroup directory");
  CgroupIdentity identity{at.st_ino, 0, {}};
  FileDescriptor above(openat(cgroup_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  while (at.st_ino != kRootCgroupId) {
    above = FileDescriptor(openat(above.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat parent {};
    if (!above || fstat(above.get(), &parent) != 0) return fail_errno(errno, "cannot examine the cgroup's parents");
    if (parent.st_dev != at.st_dev || ++identity.level > kMaxLevels) {
      return fail(ErrorKind::kUnsupported,
                  "the root of the cgroup hierarchy cannot be seen from this cgroup namespace");
    }
    identity.ancestors.push_back(parent.st_ino);
    at = parent;
  }
  return identity;
}

}  // namespace namewall::bpf
