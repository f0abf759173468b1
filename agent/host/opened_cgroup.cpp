#include "agent/host/opened_cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "bpf/cgroup_handle.h"
#include "policy/cgroup_pattern.h"
#include "policy/escape.h"

namespace namewall::agent {

bool OpenedCgroup::is_populated() const {
  const FileDescriptor events(::openat(fd.get(), "cgroup.events", O_RDONLY | O_CLOEXEC));
  if (!events) return true;  // the root cgroup has no such file
  std::array<char, 256> text{};
  const ssize_t length = ::read(events.get(), text.data(), text.size());
  return length <= 0 ||
         std::string_view(text.data(), static_cast<std::size_t>(length)).find("populated 0") == std::string_view::npos;
}

bool is_cgroup_gone(const std::string& directory, std::uint64_t id) {
  struct stat status {};
  // On 64-bit hosts a cgroup's id is its inode number.
  if (::stat(directory.c_str(), &status) == 0) return status.st_ino != id;
  return errno == ENOENT || errno == ENOTDIR;
}

Result<OpenedCgroup> open_cgroup(const CgroupWatcher& cgroups, const std::string& path,
                                 std::optional<std::uint64_t> expected_id) {
  const auto pattern = CgroupPattern::parse(path);
  if (!pattern) return tl::unexpected(pattern.error());
  if (!pattern->is_exact())
    return fail(ErrorKind::kInvalid, "a cgroup's path holds no `*`: " + escape_for_display(path));
  OpenedCgroup opened;
  opened.fd.reset(::open(cgroups.directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.fd) {
    if (errno == ENOENT) return fail(ErrorKind::kNotFound, "there is no cgroup " + escape_for_display(path));
    return fail_errno(errno, "cannot open the cgroup " + escape_for_display(path));
  }
  const auto identity = bpf::identify_cgroup(opened.fd.get());
  if (!identity) return tl::unexpected(identity.error());
  opened.id = identity->id;
  if (expected_id && *expected_id != opened.id) {
    return fail(ErrorKind::kNotFound, "the cgroup " + escape_for_display(path) + " was removed and made anew");
  }
  return opened;
}

}  // namespace namewall::agent
