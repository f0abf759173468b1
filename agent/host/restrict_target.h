// Which process a call of POST /v1/restrict means, and whether that one could simply leave its cgroup. Pure.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "agent/host/process_rights.h"

namespace namewall::agent {

// Of /proc/PID/status (proc_pid_status(5)).
struct ProcessIdentity {
  std::vector<std::uint32_t> numbers;  // NSpid: the reader's pid namespace first, the process's own last
  std::uint32_t parent = 0;            // in the reader's
  std::array<std::uint32_t, 4> uids{};
  bool has_first_thread = true;  // false: its cgroup is where it was when that one ended
  ProcessRights rights;          // `effective` with what is permitted: it may take that at any time
};
std::optional<ProcessIdentity> parse_process_identity(std::string_view status);

// All four: a program that runs with more than its caller's rights is not the caller's to hold.
bool is_of_user(const ProcessIdentity& process, std::uint32_t uid);

// Whether `parent` calls its child `number` in its own pid namespace.
bool is_child_of(const ProcessIdentity& child, const ProcessIdentity& parent, std::uint32_t number);

// The ids of the reader's user namespace that a process's own has: /proc/PID/uid_map or gid_map.
struct IdRange {
  std::uint32_t first = 0, count = 0;
};
std::vector<IdRange> parse_id_map(std::string_view text);

struct UserNamespace {
  bool is_readers = true;
  std::vector<IdRange> uids, gids;  // of another one
};

// Whether the process may write one of these cgroup.procs (its own cgroup's and those above): as their owner, by their
// mode, or by a capability that makes it so. A move asks for no more than that of the cgroup above both places.
bool may_leave(const ProcessRights& rights, const UserNamespace& users, std::span<const struct stat> procs);

}  // namespace namewall::agent
