#include "agent/host/policy_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "agent/host/trusted_file.h"
#include "policy/escape.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {
namespace {

bool is_policy_file(std::string_view name) {
  return !name.starts_with('.') && (name.ends_with(".toml") || name.ends_with(".json"));
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
    Result<std::string> text = read_trusted_file(folder.get(), name.c_str(), shown, kMaxPolicyFile);
    if (!text && text.error().kind == ErrorKind::kNotFound) continue;
    contents.files.push_back({shown, std::move(text)});
  }
}

}  // namespace

FolderContents read_folder(const std::string& directory, const std::string& host_file) {
  FolderContents contents;
  read_policies(directory, contents);
  const std::string host_name = host_file.substr(host_file.rfind('/') + 1);
  Result<std::string> host = read_trusted_file(AT_FDCWD, host_file.c_str(), host_name, kMaxPolicyFile);
  if (host || host.error().kind != ErrorKind::kNotFound) contents.host = FileText{host_name, std::move(host)};
  return contents;
}

}  // namespace namewall::agent
