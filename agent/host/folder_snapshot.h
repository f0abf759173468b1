// What the policy files say and what of it is in force, as a value. Pure: contents, the snapshot before and the time
// in, the next snapshot out; everything is validated before anything of it counts.
//
// A file whose newest version is unusable keeps the version in force ("kept"), or is "broken" if it never had one:
//   - it cannot be read, has mistakes, or crosses a bound of the compiled form;
//   - its policy's name, or a path, is another file's too: every file of the clash whose version is new keeps what it
//     had; versions already in force stay;
//   - it is gone: what it held stays held, for only `namewall teardown` lifts enforcement. It gives way to another file
//     with a policy of the same name (a rename).
// A policy whose group of endpoints ("@npm") says something else is a new version, though its file is as it was. What a
// policy expects of itself ([[expect]]) has to hold when a new version comes into force; of one in force that a new
// host.toml makes fail it, that is told. What check_overlap() finds never keeps a version out: what is denied stays
// denied either way.
// host.toml likewise; a host.toml with which a policy no longer compiles that did before is itself what is broken.
// While no host policy is in force, no policy file comes into force. No host.toml at all is an empty one, unless one is
// in force.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/host/policy_folder.h"
#include "policy/boot_time.h"
#include "policy/host_settings.h"
#include "policy/load_context.h"
#include "policy/policy.h"
#include "policy/policy_image.h"
#include "policy/resolv_conf.h"
#include "policy/workload_plan.h"

namespace namewall::agent {

// One usable version of a policy file; immutable, shared by snapshots: the same pointer is the same version.
struct PolicyVersion {
  Policy policy;
  PlannedPolicy planned;
  std::shared_ptr<const PolicyImage> image;
  std::string canonical_text;
  std::string text_sha256;  // of canonical_text
};

struct HostVersion {
  HostFile file;
  std::string text;         // the file's bytes; "": there is no such file
  std::string text_sha256;  // of them
};

inline constexpr std::size_t kMaxFindings = 20;

enum class FileState { kInForce, kKept, kBroken };
std::string_view word_of(FileState state);  // "in force", "kept", "broken": as in PolicyFileView

struct PolicyFileStatus {
  std::string file;  // "builder.toml"
  FileState state = FileState::kBroken;
  std::shared_ptr<const PolicyVersion> in_force;  // null exactly when kBroken
  BootTime since;                                 // in_force is from then
  std::vector<std::string> errors;                // of the newest version: "builder.toml:4:12: error: ..."
  std::vector<std::string> warnings;
  std::vector<std::string>
      findings;  // of what is in force beside the host's policy and the others, at most kMaxFindings
  bool is_gone = false;
  std::string text_sha256;  // of the newest version's bytes
};

struct HostFileStatus {
  FileState state = FileState::kInForce;
  std::shared_ptr<const HostVersion> in_force;
  BootTime since;
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
};

struct FolderSnapshot {
  std::vector<PolicyFileStatus> files;  // sorted by file
  HostFileStatus host;
  std::vector<std::string> errors;  // of the folder itself
  ResolvConf system;                // what "system" resolvers were taken from
  std::vector<Group> groups;        // that policies may name: those of the host.toml in force, then the shipped ones
  std::vector<std::string> group_changes;  // since the snapshot before: "group @npm 3 -> 4 opens ...", of those in use

  bool ok() const;                              // no error anywhere
  std::vector<std::string> all_errors() const;  // the folder's, host.toml's, each file's
  // Of every version in force: what plan_workloads takes.
  std::vector<PlannedPolicy> planned() const;
  std::shared_ptr<const PolicyVersion> find(std::string_view policy_name) const;  // in force
};

// `kernel_can_learn`: see fit_to_backend (agent/backend_fit.h); the image is as it will be armed.
//
// A version that was in force before this process began (from the state file): how a first `previous` is filled, so
// that a file that is broken or gone at start keeps it.
Result<std::shared_ptr<const PolicyVersion>> compile_version(const std::string& file, const Policy& policy,
                                                             const HostPolicy& host, const ResolvConf& system,
                                                             std::optional<bool> kernel_can_learn = std::nullopt);

// `shipped`: what policies may refer to, but for the host's own groups.
FolderSnapshot next_snapshot(const FolderContents& contents, const FolderSnapshot& previous, const ResolvConf& system,
                             BootTime now, std::optional<bool> kernel_can_learn = std::nullopt,
                             const LoadContext& shipped = {});

// After a teardown: no longer kept. Only a file that is gone can be forgotten; false for any other.
bool forget_gone_file(FolderSnapshot& snapshot, std::string_view policy_name);

}  // namespace namewall::agent
