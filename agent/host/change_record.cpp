#include "agent/host/change_record.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

namespace namewall::agent {
namespace {

using Json = nlohmann::ordered_json;

constexpr mode_t kOwnerAndReaders = 0640;

const char* word_of(ChangeAction action) {
  switch (action) {
    case ChangeAction::kArm:
      return "arm";
    case ChangeAction::kReplace:
      return "replace";
    case ChangeAction::kPatch:
      return "patch";
    case ChangeAction::kLetGo:
      return "let_go";
    case ChangeAction::kTeardown:
      return "teardown";
    case ChangeAction::kReload:
      return "reload";
    case ChangeAction::kRepair:
      return "repair";
    case ChangeAction::kAdopt:
      return "adopt";
    case ChangeAction::kEnd:
      return "end";
  }
  return "";
}

std::string cut(const std::string& text, std::size_t limit) {
  return text.size() <= limit ? text : text.substr(0, limit) + "...";
}

std::string line_of(const ChangeEntry& entry, std::size_t text_limit) {
  Json json = {{"time", cut(entry.time, text_limit)},
               {"action", word_of(entry.action)},
               {"workload", cut(entry.workload, text_limit)},
               {"cgroup", cut(entry.cgroup, text_limit)}};
  if (entry.by_peer)
    json["peer"] = {{"uid", entry.uid}, {"pid", entry.pid}, {"executable", cut(entry.executable, text_limit)}};
  json["reason"] = cut(entry.reason, text_limit);
  json["old_sha256"] = cut(entry.old_sha256, text_limit);
  json["new_sha256"] = cut(entry.new_sha256, text_limit);
  json["old_generation"] = entry.old_generation;
  json["new_generation"] = entry.new_generation;
  json["result"] = cut(entry.result, text_limit);
  return json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

bool is_same_file(int fd, const std::string& path) {
  struct stat open_file {
  }, named_file{};
  return fstat(fd, &open_file) == 0 && lstat(path.c_str(), &named_file) == 0 && open_file.st_dev == named_file.st_dev &&
         open_file.st_ino == named_file.st_ino;
}

bool ends_within_a_line(int fd, off_t size) {
  char last = '\n';
  return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

}  // namespace

std::string change_line(const ChangeEntry& entry) {
  // A byte takes up to six in JSON: the limit shrinks until the line fits.
  std::size_t text_limit = 4096;
  std::string line = line_of(entry, text_limit);
  while (line.size() > kMaxChangeLine) line = line_of(entry, text_limit /= 2);
  return line;
}

Result<void> ChangeRecord::open_if_needed() {
  if (fd_ && is_same_file(fd_.get(), path_)) return {};
  // Reads its last byte; O_NONBLOCK: opening a FIFO put in its place must not wait.
  fd_.reset(::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
                   kOwnerAndReaders));
  if (!fd_ && errno == ELOOP) return fail(ErrorKind::kPermission, path_ + " is a symbolic link");
  if (!fd_) return fail_errno(errno, "cannot open " + path_);
  struct stat status {};
  if (fstat(fd_.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    fd_.reset();
    return fail(ErrorKind::kPermission, path_ + " is no regular file");
  }
  is_torn_ = ends_within_a_line(fd_.get(), status.st_size);
  return {};
}

Result<void> ChangeRecord::append(const ChangeEntry& entry) {
  if (auto opened = open_if_needed(); !opened) return opened;
  const std::string line = (is_torn_ ? "\n" : "") + change_line(entry);
  ssize_t count = -1;
  do {
    count = ::write(fd_.get(), line.data(), line.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) return fail_errno(errno, "cannot write " + path_);
  if (count == static_cast<ssize_t>(line.size())) {
    is_torn_ = false;
    return {};
  }
  if (count > 0) is_torn_ = line[static_cast<std::size_t>(count) - 1] != '\n';
  return fail(ErrorKind::kSystem, path_ + " took only a part of a line");
}

}  // namespace namewall::agent
