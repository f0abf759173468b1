// What the daemon remembers over a restart beyond what the kernel holds: names, labels and the text of policies by
// call, what the policy files said when they came into force, and what of theirs was lifted. Enforcement never needs
// it. Pure: values to JSON lines and back: a line for everything, then a line for each change since, so that a change
// among 10,000 workloads costs what it costs among ten.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.h"

namespace namewall::agent {

struct SavedWorkload {
  std::string name;
  std::string cgroup;
  std::uint64_t cgroup_id = 0;
  std::string origin;  // "file", "api", "command", "restrict"
  std::string policy;
  std::string policy_text;  // canonical; of origins "api" and "command" with a policy of their own
  std::map<std::string, std::string> labels;
  std::optional<std::int64_t> ttl_end_unix_ms;  // wall clock
  std::string armed_at;                         // RFC 3339
  bool allow_partial = false;
  bool is_cooperative = false;  // of origin "restrict"
  std::uint32_t policy_generation = 0;  // of the policy that the kernel held when this was saved; 0: not known
  friend bool operator==(const SavedWorkload&, const SavedWorkload&) = default;
};

struct SavedFile {
  std::string file;         // "builder.toml"
  std::string policy_text;  // canonical
  friend bool operator==(const SavedFile&, const SavedFile&) = default;
};

struct SavedLift {
  std::string cgroup;
  std::string policy;
  std::string policy_sha256;
  friend bool operator==(const SavedLift&, const SavedLift&) = default;
};

// A group of endpoints as the policies in force have it.
struct SavedGroup {
  std::string name;
  std::string version;
  std::vector<std::string> endpoints;  // canonical
  friend bool operator==(const SavedGroup&, const SavedGroup&) = default;
};

struct SavedFolder {
  std::optional<std::string> host_text;  // host.toml in force, "" where there was no file; nullopt: none was in force
  std::vector<SavedFile> files;          // in force
  std::vector<SavedLift> lifted;
  std::vector<SavedGroup> groups;  // in use
  friend bool operator==(const SavedFolder&, const SavedFolder&) = default;
};

struct SavedState {
  std::string boot_id;           // /proc/sys/kernel/random/boot_id
  std::uint64_t generation = 0;  // of StatusView
  std::vector<SavedWorkload> workloads;
  SavedFolder folder;
  friend bool operator==(const SavedState&, const SavedState&) = default;
};

inline constexpr int kSavedStateVersion = 1;
inline constexpr std::size_t kMaxSavedState = 64u << 20;

// The first line. Equal policy texts are in it once.
std::string saved_state_to_json(const SavedState& state);
// Further lines: a workload that is new or replaces the one of its name, or that is gone; and the state's generation.
std::string saved_put_to_json(const SavedWorkload& workload, std::uint64_t generation);
std::string saved_erase_to_json(const std::string& workload, std::uint64_t generation);
// Replaces the whole folder.
std::string saved_folder_to_json(const SavedFolder& folder, std::uint64_t generation);
// A last line without its end was never written whole, and says nothing. Everything else is taken all or nothing:
// kConflict: of another version. kInvalid: damaged, and where. kLimit: larger than kMaxSavedState.
Result<SavedState> saved_state_from_json(std::string_view text);

// cgroup ids of one boot mean nothing in the next: keeps the workloads only if `boot_id` is the state's own, and
// otherwise says in one sentence what was dropped. `generation` goes on either way.
std::optional<std::string> keep_state_of_this_boot(SavedState& state, const std::string& boot_id);

}  // namespace namewall::agent
