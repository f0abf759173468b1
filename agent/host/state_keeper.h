// Remembers over a restart the workloads by call, what the policy files said, and what was lifted: saved with each
// change, read once at the start. Enforcement never needs it: without it a workload stays held, and nobody knows its
// name.
#pragma once

#include <string>
#include <vector>

#include "agent/host/disk_trouble.h"
#include "agent/host/host_parts.h"
#include "agent/host/saved_state.h"
#include "agent/host/state_file.h"

namespace namewall::agent {

class StateKeeper {
 public:
  StateKeeper(HostParts& parts, std::string path, uid_t owner)
      : parts_(parts), file_(std::move(path), owner), trouble_("the state file") {}

  // Each a sentence for each thing that could not be taken.
  // The folder as it was saved: before it is read for the first time.
  std::vector<std::string> load(BootTime now);
  // Enters what was saved in this boot, and still exists, as workloads that are not armed yet: after that.
  std::vector<std::string> restore(BootTime now);
  // What has changed: a line each. Does not wait for the disk.
  void save_changes();
  // Everything, if lines have outgrown what they change. Waits for the disk: about once a second, when nothing else
  // waits.
  void tidy();
  void save_all();

  std::uint64_t failures() const { return trouble_.failures(); }

 private:
  SavedState collect() const;
  void note(const Result<void>& outcome);
  Result<void> restore_one(const SavedWorkload& saved, BootTime now);
  void forget_gone_files();

  HostParts& parts_;
  StateFile file_;
  DiskTrouble trouble_;
  std::string boot_id_;
  SavedState loaded_;          // empty after restore()
  bool is_read_only_ = false;  // the file is of another version
};

}  // namespace namewall::agent
