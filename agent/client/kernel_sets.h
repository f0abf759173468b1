// What the kernel holds of both backends, read from the kernel itself: the nft table of this network namespace, and
// the pinned maps of BPF workloads. Needs root, and no daemon.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/address.h"
#include "policy/boot_time.h"
#include "policy/port_set.h"
#include "policy/result.h"

namespace namewall::agent {

inline constexpr Nanoseconds kForever = Nanoseconds::max();

struct KernelWorkload {
  std::uint64_t cgroup_id = 0;
  std::string cgroup;   // path; "": not known, or gone
  std::string backend;  // "bpf", "nft"
  bool is_audit = false;
};

struct KernelName {
  std::string name;
  std::string rule;
  Nanoseconds left = kForever;
  std::int64_t hits = -1;  // -1: not counted
};

// One (workload, address, protocol, port), or a range of ports where a rule allows more than a few.
struct KernelElement {
  std::uint64_t cgroup_id = 0;
  std::string_view set;  // of the table; "grants" of BPF
  Address address;
  PortRange ports;
  std::string port_list;  // of ranges: "1000-2000,3000"; else ""
  Nanoseconds left = kForever;
  Nanoseconds age = kForever;     // since it was set or renewed; kForever: not known
  std::vector<KernelName> names;  // BPF
  std::string comment;            // nft: read only where no model has the names
  bool is_wide() const { return !port_list.empty(); }
};

struct NftTable {
  std::string name;
  bool is_owned = false, is_persistent = false, is_dormant = false;
  std::map<std::string, std::size_t> counts;  // elements by set
  std::vector<std::string> missing_sets;
};

struct KernelSets {
  std::vector<KernelWorkload> workloads;
  std::vector<KernelElement> elements;
  std::optional<NftTable> table;   // nullopt: there is none here
  std::vector<std::string> notes;  // what could not be read, a sentence each
  BootTime begun, ended;           // of the reading
};

// Where an element would be.
struct KernelPlace {
  std::uint64_t cgroup_id = 0;
  Address address;
  Protocol protocol = Protocol::kTcp;
  Port port;
  bool is_wide = false;  // in any of the wide sets
};

// Adds what the table holds. kPermission: the user may not.
// Sets of up to kListed elements are listed whole. To list more takes the kernel seconds (nft/listing.h): of those the
// elements of `expected` are asked for one by one, and only where somebody else can have put others in (the table has
// no owner, and the set has more than were found) it is listed all the same. nullptr: nobody knows what to expect.
inline constexpr std::size_t kListed = 8192;
Result<void> read_nft(const std::vector<KernelPlace>* expected, KernelSets& sets);
// Adds what the pins hold.
Result<void> read_bpf(const std::string& pin_directory, BootTime now, KernelSets& sets);

// Whether the table has these elements, one by one.
Result<std::vector<bool>> look_up_nft(const std::vector<KernelPlace>& places);

}  // namespace namewall::agent
