// /var/lib/namewall/state.json: SavedState on disk, 0600, owned by the daemon's user, replaced as a whole or not at
// all.
#pragma once

#include <sys/types.h>

#include <string>

#include "agent/host/saved_state.h"
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
  // Waits for the disk (fsync of the file and of the directory). On failure the old file stays.
  Result<void> store(const SavedState& state) const;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  uid_t owner_;
};

// /proc/sys/kernel/random/boot_id
Result<std::string> read_boot_id();

}  // namespace namewall::agent
