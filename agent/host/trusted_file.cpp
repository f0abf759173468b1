#include "agent/host/trusted_file.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "policy/escape.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel follows

Result<void> check_directory(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return fail_errno(errno, "cannot examine " + escape_for_display(path));
  const bool is_sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0 && status.st_uid == 0;
  if (is_sticky) return {};
  return check_trusted(status, "the folder " + escape_for_display(path));
}

Result<std::string> read_link(const std::string& path) {
  std::array<char, PATH_MAX> target;
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size < 0) return fail_errno(errno, "cannot read the link " + escape_for_display(path));
  return std::string(target.data(), static_cast<std::size_t>(size));
}

// The path without links, every directory on the way checked.
Result<std::string> resolve_trusted(const std::string& path) {
  std::string done;  // "" is "/"
  std::string left = path;
  for (int links = 0; !left.empty();) {
    const std::size_t begin = left.find_first_not_of('/');
    if (begin == std::string::npos) break;
    const std::size_t end = left.find('/', begin);
    const std::string name = left.substr(begin, end - begin);
    left = end == std::string::npos ? "" : left.substr(end);
    if (name == ".") continue;
    if (name == "..") {
      done.resize(done.empty() ? 0 : done.rfind('/'));
      continue;
    }
    if (const auto trusted = check_directory(done.empty() ? "/" : done); !trusted) {
      return tl::unexpected(trusted.error());
    }
    const std::string next = done + "/" + name;
    struct stat status {};
    if (::lstat(next.c_str(), &status) != 0) return fail_errno(errno, "cannot open " + escape_for_display(path));
    if (!S_ISLNK(status.st_mode)) {
      done = next;
      continue;
    }
    if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
      return fail(ErrorKind::kPermission, "the link " + escape_for_display(next) + " belongs to uid " +
                                              std::to_string(status.st_uid) + ": it has to belong to root");
    }
    if (++links > kMaxLinks) return fail_errno(ELOOP, "cannot open " + escape_for_display(path));
    const Result<std::string> target = read_link(next);
    if (!target) return target;
    if (target->starts_with('/')) done.clear();
    left = *target + left;
  }
  return done.empty() ? "/" : done;
}

}  // namespace

Result<void> check_trusted(const struct stat& status, const std::string& name) {
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return fail(ErrorKind::kPermission, name + " belongs to uid " + std::to_string(status.st_uid) +
                                            ", who could open every workload: it has to belong to root");
  }
  const bool is_of_root_group = status.st_gid == 0;
  if ((status.st_mode & S_IWOTH) != 0 || ((status.st_mode & S_IWGRP) != 0 && !is_of_root_group)) {
    return fail(ErrorKind::kPermission,
                name + " may be written by others than root, who could open every workload: chmod go-w");
  }
  return {};
}

Result<std::string> read_trusted_file(int directory, const char* path, const std::string& name, std::size_t max) {
  // O_NONBLOCK: a FIFO without a writer opens at once.
  const FileDescriptor fd(::openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return fail_errno(errno, "cannot open " + name);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, "cannot examine " + name);
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::kInvalid, name + " is no regular file");
  if (const auto trusted = check_trusted(status, name); !trusted) return tl::unexpected(trusted.error());
  std::string text;
  std::array<char, 65536> block;
  for (;;) {
    const ssize_t count = ::read(fd.get(), block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot read " + name);
    if (count == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(count));
    if (text.size() > max) {
      return fail(ErrorKind::kLimit, name + " is larger than " + std::to_string(max >> 20) + " MiB");
    }
  }
}

Result<std::string> read_trusted_path(const std::string& path, std::size_t max) {
  if (!path.starts_with('/')) return fail(ErrorKind::kInvalid, escape_for_display(path) + " is no absolute path");
  const Result<std::string> real = resolve_trusted(path);
  if (!real) return real;
  return read_trusted_file(AT_FDCWD, real->c_str(), escape_for_display(path), max);
}

}  // namespace namewall::agent
