// /var/log/namewall/changes.jsonl: who changed what, one JSON line for each change, only ever appended to (0640).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

enum class ChangeAction { kArm, kReplace, kPatch, kLetGo, kTeardown, kReload, kRepair, kAdopt, kEnd };

struct ChangeEntry {
  std::string time;  // RFC 3339
  ChangeAction action = ChangeAction::kArm;
  std::string workload;  // "": the whole host
  std::string cgroup;
  bool by_peer = false;            // false: the daemon itself (a file, a cgroup that appeared or ended)
  std::uint32_t uid = 0, pid = 0;  // of the peer
  std::string executable;
  std::string reason;  // as the peer wrote it
  std::string old_sha256, new_sha256;
  std::uint64_t old_generation = 0, new_generation = 0;
  std::string result = "ok";  // or the error's sentence
};

inline constexpr std::size_t kMaxChangeLine = 16384;

// One line with its end, ASCII only, at most kMaxChangeLine bytes: long strings are cut and end in "...".
std::string change_line(const ChangeEntry& entry);

class ChangeRecord {
 public:
  explicit ChangeRecord(std::string path) : path_(std::move(path)) {}

  // Opens the file if it is not open or was rotated away (another inode, or none, has its name). One write(2) for the
  // whole line; a torn line (full disk) is ended before the next. kPermission: the name is that of a symbolic link or
  // of no regular file.
  Result<void> append(const ChangeEntry& entry);
  // SIGHUP: the next append opens the file anew.
  void reopen() { fd_.reset(); }

 private:
  Result<void> open_if_needed();

  std::string path_;
  FileDescriptor fd_;
  bool is_torn_ = false;  // the last line has no end
};

}  // namespace namewall::agent
