#include "agent/host/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "agent/text_file.h"

namespace namewall::agent {
namespace {

constexpr mode_t kOnlyOwner = 0600;

Result<void> check_file(int fd, const std::string& path, uid_t owner) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return fail_errno(errno, "cannot examine " + path);
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::kPermission, path + " is no regular file");
  if (status.st_uid != owner) {
    return fail(ErrorKind::kPermission,
                path + " belongs to uid " + std::to_string(status.st_uid) + ", not to uid " + std::to_string(owner));
  }
  if ((status.st_mode & 07777) != kOnlyOwner) return fail(ErrorKind::kPermission, path + " has not mode 0600");
  return {};
}

Result<void> write_all(int fd, const std::string& text, const std::string& path) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::write(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot write " + path);
    done += static_cast<std::size_t>(count);
  }
  if (fsync(fd) != 0) return fail_errno(errno, "cannot bring " + path + " to the disk");
  return {};
}

Result<void> sync_directory(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) return fail_errno(errno, "cannot bring " + directory + " to the disk");
  return {};
}

}  // namespace

Result<SavedState> StateFile::load() const {
  // O_NONBLOCK: opening a FIFO put in its place must not wait.
  const FileDescriptor fd(::open(path_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!fd && errno == ELOOP) return fail(ErrorKind::kPermission, path_ + " is a symbolic link");
  if (!fd) return fail_errno(errno, "cannot open " + path_);
  if (auto fit = check_file(fd.get(), path_, owner_); !fit) return tl::unexpected<Error>(fit.error());
  auto text = read_text_file("/proc/self/fd/" + std::to_string(fd.get()));
  if (!text) {
    text.error().what = "cannot read " + path_;
    return tl::unexpected<Error>(text.error());
  }
  auto state = saved_state_from_json(*text);
  if (!state) state.error().what = path_ + ": " + state.error().what;
  return state;
}

Result<void> StateFile::store(const SavedState& state) {
  const std::string text = saved_state_to_json(state);
  if (text.size() > kMaxSavedState) return fail(ErrorKind::kLimit, path_ + " would be larger than 64 MiB");
  const std::string fresh = path_ + ".new";
  if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "cannot remove " + fresh);
  FileDescriptor fd(::open(fresh.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kOnlyOwner));
  if (!fd) return fail_errno(errno, "cannot make " + fresh);
  auto written = write_all(fd.get(), text, fresh);
  if (written && std::rename(fresh.c_str(), path_.c_str()) != 0)
    written = fail_errno(errno, "cannot put " + fresh + " in the place of " + path_);
  if (!written) {
    ::unlink(fresh.c_str());
    return written;
  }
  fd_ = std::move(fd);
  stored_bytes_ = text.size();
  appended_bytes_ = 0;
  return sync_directory(path_);
}

Result<void> StateFile::put(const SavedWorkload& workload, std::uint64_t generation) {
  return append(saved_put_to_json(workload, generation));
}

Result<void> StateFile::erase(const std::string& workload, std::uint64_t generation) {
  return append(saved_erase_to_json(workload, generation));
}

Result<void> StateFile::put_folder(const SavedFolder& folder, std::uint64_t generation) {
  return append(saved_folder_to_json(folder, generation));
}

bool StateFile::wants_store() const {
  constexpr std::size_t kAlwaysKept = 1u << 20;
  return !fd_ || appended_bytes_ > std::max(kAlwaysKept, stored_bytes_);
}

Result<void> StateFile::append(const std::string& line) {
  if (!fd_) return fail(ErrorKind::kConflict, path_ + " has to be written anew before it takes changes");
  if (stored_bytes_ + appended_bytes_ + line.size() > kMaxSavedState)
    return fail(ErrorKind::kLimit, path_ + " would be larger than 64 MiB");
  struct stat status {};
  if (fstat(fd_.get(), &status) != 0 || status.st_nlink == 0) {
    fd_.reset();
    return fail(ErrorKind::kNotFound, path_ + " was removed");
  }
  const ssize_t count = ::write(fd_.get(), line.data(), line.size());
  if (count == static_cast<ssize_t>(line.size())) {
    appended_bytes_ += line.size();
    return {};
  }
  const int problem = count < 0 ? errno : ENOSPC;
  // A part of a line must not stand before the next.
  if (count > 0 && ftruncate(fd_.get(), static_cast<off_t>(stored_bytes_ + appended_bytes_)) != 0) fd_.reset();
  return fail_errno(problem, "cannot write " + path_);
}

Result<std::string> read_boot_id() {
  auto text = read_text_file("/proc/sys/kernel/random/boot_id");
  if (text && text->ends_with('\n')) text->pop_back();
  return text;
}

}  // namespace namewall::agent
