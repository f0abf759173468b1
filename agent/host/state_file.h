// /var/lib/namewall/state.json: SavedState on disk, 0600, owned by the daemon's user, replaced as a whole or not at
// all.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "agent/host/saved_state.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

class StateFile {
 public:
  // The directory must exist. `owner`: the daemon's user.
  StateFile(std::string path, uid_t owner) : path_(std::move(path)), owner_(owner) {}

  // kNotFound: there is none yet. kPermission: not a regular file of `owner` with mode 0600 (a symbolic link is never
  // followed). Otherwise as saved_state_from_json. After any of these the daemon goes on with what the kernel holds;
  // after kConflict it must not store(), so that the other version finds its file.
  Result<SavedState> load() const;

  // Replaces the file. Waits for the disk (fsync of the file and of the directory). On failure the old file stays.
  Result<void> store(const SavedState& state);
  // One line behind what store() wrote; does not wait for the disk: what is written survives the daemon, and another
  // boot does not want it. On failure the file is as before or wants_store().
  Result<void> put(const SavedWorkload& workload, std::uint64_t generation);
  Result<void> erase(const std::string& workload, std::uint64_t generation);
  Result<void> put_folder(const SavedFolder& folder, std::uint64_t generation);
  // No store() has succeeded yet, a line could not be written, or lines have outgrown what they change: store() when
  // nothing else waits.
  bool wants_store() const;

  const std::string& path() const { return path_; }

 private:
  Result<void> append(const std::string& line);

  std::string path_;
  uid_t owner_;
  FileDescriptor fd_;  // of the file in force, if it can be appended to
  std::size_t stored_bytes_ = 0, appended_bytes_ = 0;
};

// /proc/sys/kernel/random/boot_id
Result<std::string> read_boot_id();

}  // namespace namewall::agent
