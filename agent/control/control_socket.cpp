#include "agent/control/control_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

namespace namewall::agent {
namespace {

constexpr int kBacklog = 1024;        // a burst waits here while its connections are judged
constexpr mode_t kAnyProcess = 0666;  // rights are judged by peer, request by request
constexpr mode_t kDirectoryMode = 0755;

Result<FileDescriptor> make_socket() {
  FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "cannot make a unix socket");
  return fd;
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorKind::kInvalid, "the path of the control socket, " + path + ", is longer than a socket's may be");
  }
  std::ranges::copy(path, address.sun_path);
  return address;
}

// The lock ends with the descriptor. One daemon at a time looks at what is there and puts its own in place.
Result<FileDescriptor> lock_directory(const std::string& directory) {
  std::error_code ignored;
  if (std::filesystem::create_directories(directory, ignored)) ::chmod(directory.c_str(), kDirectoryMode);
  FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "cannot open directory " + directory + " of the control socket");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorKind::kConflict, "another process is making a control socket in " + directory + " right now",
                errno);
  }
  return fd;
}

Result<void> check_nobody_listens(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(errno, "cannot look at " + path);
  }
  if (!S_ISSOCK(found.st_mode)) return fail(ErrorKind::kConflict, path + " is there and is no socket");
  if (const auto address = address_of(path); !address) return tl::unexpected(address.error());
  if (is_control_socket_served(path)) return fail(ErrorKind::kConflict, "a daemon serves " + path + " already");
  return {};
}

}  // namespace

bool is_control_socket_served(const std::string& path) {
  const Result<sockaddr_un> address = address_of(path);
  const Result<FileDescriptor> probe = make_socket();
  if (!address || !probe) return false;
  return ::connect(probe->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0 || errno == EAGAIN;
}

Result<FileDescriptor> open_control_socket(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const Result<FileDescriptor> lock = lock_directory(parent.empty() ? "." : parent);
  if (!lock) return tl::unexpected(lock.error());
  if (const Result<void> free = check_nobody_listens(path); !free) return tl::unexpected(free.error());

  const std::string temporary = path + ".new";
  const Result<sockaddr_un> address = address_of(temporary);
  if (!address) return tl::unexpected(address.error());
  Result<FileDescriptor> socket = make_socket();
  if (!socket) return socket;
  ::unlink(temporary.c_str());
  if (::bind(socket->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return fail_errno(errno, "cannot make the control socket " + temporary);
  }
  if (::chmod(temporary.c_str(), kAnyProcess) != 0 || ::listen(socket->get(), kBacklog) != 0 ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(temporary.c_str());
    return fail_errno(error_number, "cannot put the control socket at " + path);
  }
  return socket;
}

Result<FileDescriptor> adopt_control_socket(int fd) {
  FileDescriptor socket(fd);
  int domain = 0, type = 0, listens = 0;
  socklen_t size = sizeof domain;
  const bool is_told = ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
                       ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
                       ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0;
  if (!is_told || domain != AF_UNIX || type != SOCK_STREAM || listens == 0) {
    return fail(ErrorKind::kInvalid, "descriptor " + std::to_string(fd) + " is no listening unix stream socket");
  }
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return fail_errno(errno, "cannot set up the control socket handed over as descriptor " + std::to_string(fd));
  }
  return socket;
}

}  // namespace namewall::agent
