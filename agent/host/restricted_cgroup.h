// The cgroup that a process is moved into when it gives up reach: made below its own, owned by the reader's user, and
// removed when it is empty. What the privileged helper does for POST /v1/restrict.
#pragma once

#include <cstdint>
#include <string>

#include "agent/host/host.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

std::string restricted_cgroup_name(std::uint64_t number);  // "namewall-restrict-17"
bool is_restricted_cgroup(std::string_view path);          // by its last part

struct RestrictOrder {
  std::uint64_t number = 0;     // of the new cgroup
  std::uint64_t cgroup_id = 0;  // of the one that the process is in
  std::uint32_t uid = 0;        // of the caller
  std::uint32_t child = 0;      // in the caller's pid namespace; 0: the caller itself
  bool may_be_able_to_leave = false;
  bool in_own_netns = false;  // only if it is in this process's network namespace
};

struct RestrictedCgroup {
  FileDescriptor directory;
  FileDescriptor process;  // pidfd of the one to be moved
};

struct RestrictedCgroupOutcome {
  Result<RestrictedCgroup> made;
  RestrictObstacle obstacle = RestrictObstacle::kNone;
};

// `caller`: a pidfd. Nothing is made unless the process may be held: kPermission where it is not the caller's,
// kConflict with what stands against it.
RestrictedCgroupOutcome make_restricted_cgroup(int caller, const RestrictOrder& order);
// As move_process(): out of the cgroup `from_id`, whose child `directory` must be.
Result<void> enter_restricted_cgroup(int directory, int process, std::uint64_t from_id);
// kConflict: it has processes.
Result<void> remove_restricted_cgroup(int directory);

}  // namespace namewall::agent
