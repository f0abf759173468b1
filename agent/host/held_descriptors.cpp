#include "agent/host/held_descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>

#include "agent/text_file.h"
#include "policy/file_descriptor.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace namewall::agent {
namespace {

// Copying a socket into this process gives it this process's net_cls and net_prio classes (__receive_sock in
// net/core/sock.c): not done where such classes are in use.
bool may_copy_sockets() {
  const auto text = read_text_file("/proc/cgroups");
  if (!text) return true;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string name;
    unsigned hierarchy = 0, cgroups = 0;
    if (fields >> name >> hierarchy >> cgroups && (name == "net_cls" || name == "net_prio") && hierarchy != 0 &&
        cgroups > 1) {
      return false;
    }
  }
  return true;
}

std::optional<ino_t> inode_of_socket_link(std::string_view link) {
  constexpr std::string_view kStart = "socket:[";
  if (!link.starts_with(kStart)) return std::nullopt;
  link.remove_prefix(kStart.size());
  ino_t inode = 0;
  const auto [end, error] = std::from_chars(link.data(), link.data() + link.size(), inode);
  return error == std::errc() && end != link.data() + link.size() ? std::optional(inode) : std::nullopt;
}

// Major 10 of Documentation/admin-guide/devices.txt; macvtap has a major of its own that is not fixed.
std::string device_of(int directory_fd, const char* name, std::string_view link) {
  struct statx status {};
  // DONT_SYNC: a file system in user space is not asked.
  if (syscall(SYS_statx, directory_fd, name, AT_STATX_DONT_SYNC, STATX_TYPE, &status) != 0) return {};
  if (!S_ISCHR(status.stx_mode)) return {};
  if (status.stx_rdev_major == 10) {
    switch (status.stx_rdev_minor) {
      case 200:
        return "/dev/net/tun";
      case 232:
        return "/dev/kvm";
      case 238:
        return "/dev/vhost-net";
      case 241:
        return "/dev/vhost-vsock";
      default:
        return {};
    }
  }
  return link.starts_with("/dev/tap") ? std::string(link) : std::string();
}

template <typename Value>
bool read_option(int socket_fd, int option, Value& value) {
  socklen_t length = sizeof value;
  return getsockopt(socket_fd, SOL_SOCKET, option, &value, &length) == 0;
}

}  // namespace

HeldDescriptorReader::HeldDescriptorReader(std::size_t budget) : budget_(budget), may_copy_(may_copy_sockets()) {}

HeldDescriptors HeldDescriptorReader::read(std::uint32_t pid, int process_fd) {
  HeldDescriptors held;
  const FileDescriptor pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  const int listing = openat(process_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(listing >= 0 ? fdopendir(listing) : nullptr, &closedir);
  if (!directory) {
    held.is_complete = errno == ENOENT || errno == ESRCH;  // it has ended
    if (listing >= 0) close(listing);
    return held;
  }
  while (const dirent* entry = readdir(directory.get())) {
    int number = 0;
    const std::string_view name = entry->d_name;
    if (std::from_chars(name.data(), name.data() + name.size(), number).ec != std::errc()) continue;
    if (budget_ == 0) {
      held.is_complete = false;
      break;
    }
    --budget_;
    std::array<char, 256> buffer{};
    const ssize_t length = readlinkat(listing, entry->d_name, buffer.data(), buffer.size());
    if (length <= 0) continue;  // closed meanwhile
    const std::string_view link(buffer.data(), static_cast<std::size_t>(length));
    const auto inode = inode_of_socket_link(link);
    if (!inode) {
      std::string device = link.starts_with('/') ? device_of(listing, entry->d_name, link) : std::string();
      if (!device.empty()) held.devices.push_back(std::move(device));
      continue;
    }
    if (!seen_.insert(*inode).second) continue;
    const FileDescriptor copy(may_copy_ ? static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)) : -1);
    HeldSocket socket{*inode, 0, 0, 0};
    if (!copy) {
      if (!may_copy_ || (errno != EBADF && errno != ESRCH)) held.is_complete = false;
      continue;
    }
    if (!read_option(copy.get(), SO_DOMAIN, socket.family) || !read_option(copy.get(), SO_TYPE, socket.type) ||
        !read_option(copy.get(), SO_NETNS_COOKIE, socket.netns_cookie)) {
      held.is_complete = false;
      continue;
    }
    held.sockets.push_back(socket);
  }
  return held;
}

}  // namespace namewall::agent
