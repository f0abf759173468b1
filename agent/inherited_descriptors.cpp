#include "agent/inherited_descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>

namespace namewall::agent {
namespace {

bool is_unsafe_anonymous_inode(int fd) {
  constexpr std::array<std::string_view, 6> kPrefixes = {"bpf",     "[io_uring]",  "[perf_event]",
                                                         "[pidfd]", "[fscontext]", "[userfaultfd]"};
  constexpr std::string_view kAnonymous = "anon_inode:";
  std::array<char, 64> target{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length <= 0) return false;
  std::string_view name(target.data(), static_cast<std::size_t>(length));
  if (name.starts_with("pidfd:")) return true;  // pidfs, since 6.9
  if (!name.starts_with(kAnonymous)) return false;
  name.remove_prefix(kAnonymous.size());
  return std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_unsafe(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return false;
  if (S_ISSOCK(status.st_mode)) {
    int family = 0;
    socklen_t size = sizeof family;
    // An O_PATH descriptor of a socket file is no socket and cannot be connected through.
    return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family != AF_UNIX;
  }
  struct statfs file_system {};
  if (S_ISDIR(status.st_mode) || ::fstatfs(fd, &file_system) != 0) return true;
  constexpr std::array<long, 3> kMagics = {CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, BPF_FS_MAGIC};
  if (std::ranges::find(kMagics, static_cast<long>(file_system.f_type)) != kMagics.end()) return true;
  return is_unsafe_anonymous_inode(fd);
}

}  // namespace

Result<std::vector<int>> find_unsafe_descriptors() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), &::closedir);
  if (!directory) return fail_errno(errno, "cannot list the inherited descriptors in /proc/self/fd");
  std::vector<int> unsafe;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    int fd = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), fd);
    if (error != std::errc() || fd <= STDERR_FILENO) continue;
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) != 0) continue;
    if (is_unsafe(fd)) unsafe.push_back(fd);
  }
  return unsafe;
}

}  // namespace namewall::agent
