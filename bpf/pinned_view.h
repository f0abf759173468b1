// What the pinned maps hold, read beside whoever holds the pins: no lock is taken and nothing is changed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/address.h"
#include "policy/boot_time.h"
#include "policy/port_classes.h"
#include "policy/reason.h"
#include "policy/result.h"

namespace namewall::bpf {

struct PinnedGrant {
  Address address;
  std::string name;  // "": the name table no longer has it
  BootTime deadline;
  PortMask mask = 0;             // under the policy in force; 0 where nobody has judged the name under it yet
  Reason note = NW_REASON_NONE;  // an address that was remembered without being granted
  std::uint32_t hits = 0;
};

struct PinnedWorkload {
  std::uint64_t cgroup_id = 0;
  std::string cgroup;  // path in the hierarchy; "": it is gone, or not seen from here
  std::uint32_t workload_id = 0;
  std::uint32_t generation = 0;
  bool is_audit = false;
  bool is_template = false;
  std::vector<PortInterval> intervals;  // what the bits of the masks are: port_classes.h
  std::vector<PinnedGrant> grants;
  std::string unread;  // why the grants could not be read; "" if they were
};

// `directory` as HostOptions. No such directory, or nothing in it: no workload. kPermission: the pins are closed to
// this process. kConflict: a version that this one does not know.
Result<std::vector<PinnedWorkload>> read_pinned_workloads(const std::string& directory);

}  // namespace namewall::bpf
