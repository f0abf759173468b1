#include "agent/host/policy_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "policy/escape.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {
namespace {

bool is_policy_file(std::string_view name) {
  return !name.starts_with('.') && (name.ends_with(".toml") || name.ends_with(".json"));
}

// Who may write it may open every workload: only root and this process's own user.
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

// A ConfigMap's folder says 0777, but nothing writes through a mount that is read-only.
bool is_read_only(int directory) {
  struct statvfs mount {};
  return ::fstatvfs(directory, &mount) == 0 && (mount.f_flag & ST_RDONLY) != 0;
}

Result<void> check_folder(int directory, const std::string& path) {
  struct stat status {};
  if (::fstat(directory, &status) != 0) return fail_errno(errno, "cannot examine the folder " + path);
  return is_read_only(directory) ? Result<void>{} : check_trusted(status, "the folder " + path);
}

Result<std::string> read_file(int directory, const char* path, const std::string& name) {
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
    if (text.size() > kMaxPolicyFile) return fail(ErrorKind::kLimit, name + " is larger than 1 MiB");
  }
}

// Names of the policy files, at most one more than kMaxPolicyFiles.
Result<std::set<std::string>> list_policy_files(int directory, const std::string& path) {
  std::set<std::string> names;
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(
      copy < 0 ? nullptr : ::fdopendir(copy), [](DIR* opened) { return opened == nullptr ? 0 : ::closedir(opened); });
  if (!entries) {
    const int why = errno;
    if (copy >= 0) ::close(copy);
    return fail_errno(why, "cannot read the folder " + path);
  }
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(entries.get());
    if (entry == nullptr && errno != 0) return fail_errno(errno, "cannot read the folder " + path);
    if (entry == nullptr || names.size() > kMaxPolicyFiles) return names;
    if (is_policy_file(entry->d_name)) names.insert(entry->d_name);
  }
}

void read_policies(const std::string& directory, FolderContents& contents) {
  const FileDescriptor folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder && errno == ENOENT) return;
  if (folder) {
    if (const auto trusted = check_folder(folder.get(), directory); !trusted) {
      contents.errors.push_back(trusted.error().message());
      return;
    }
  }
  const Result<std::set<std::string>> names =
      folder ? list_policy_files(folder.get(), directory)
             : Result<std::set<std::string>>(fail_errno(errno, "cannot open the folder " + directory));
  if (!names) {
    contents.errors.push_back(names.error().message());
    return;
  }
  if (names->size() > kMaxPolicyFiles) {
    contents.errors.push_back(directory + " has more than " + std::to_string(kMaxPolicyFiles) + " policy files");
    return;
  }
  for (const std::string& name : *names) {
    const std::string shown = escape_for_display(name);
    Result<std::string> text = read_file(folder.get(), name.c_str(), shown);
    if (!text && text.error().kind == ErrorKind::kNotFound) continue;
    contents.files.push_back({shown, std::move(text)});
  }
}

}  // namespace

FolderContents read_folder(const std::string& directory, const std::string& host_file) {
  FolderContents contents;
  read_policies(directory, contents);
  const std::string host_name = host_file.substr(host_file.rfind('/') + 1);
  Result<std::string> host = read_file(AT_FDCWD, host_file.c_str(), host_name);
  if (host || host.error().kind != ErrorKind::kNotFound) contents.host = FileText{host_name, std::move(host)};
  return contents;
}

}  // namespace namewall::agent
