// What a run came to, as a value: told at its end as text (report_text) or JSON (report_json). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/refusal_tally.h"
#include "bpf/enforcer.h"
#include "policy/policy_image.h"

namespace namewall::agent {

struct ReachedName {
  std::string name;
  PortSet ports;               // that the policy opens for it: the kernel counts connects per address, not per port
  std::uint64_t connects = 0;  // and first sends
};

// Names whose grants let something through, busiest first.
std::vector<ReachedName> reached_names(const std::vector<GrantRecord>& grants, const PolicyImage& image);

// An address that a name has opened, or had until its time was over: the kernel remembers it while there is room.
struct GrantedAddress {
  std::string name;
  Address address;
  PortSet ports;                    // under the policy in force
  std::optional<Nanoseconds> left;  // below 0: over for so long; nullopt: it lasts as long as the workload
  std::uint64_t connects = 0;       // and first sends
};

// By name, then address. Addresses that an answer gave and that teach nothing are not among them.
std::vector<GrantedAddress> granted_addresses(const std::vector<GrantRecord>& grants, const PolicyImage& image,
                                              BootTime now);

struct EventLosses {
  std::uint64_t by_rate = 0;   // left out by the kernel's rate for this workload
  std::uint64_t by_ring = 0;   // the ring was full: namewall was too slow
  std::uint64_t by_sink = 0;   // not written to --events, which could not keep up
  std::uint64_t by_tally = 0;  // beyond RefusalTally::kMaxEntries
  bool any() const { return (by_rate | by_ring | by_sink | by_tally) != 0; }
};

EventLosses event_losses(const Counters& counters, const RefusalTally& tally, std::uint64_t lost_by_sink);

struct RunSummary {
  std::string workload;
  int exit_code = 0;
  bool audit = false;
  std::vector<ReachedName> reached;
  std::vector<GrantedAddress> granted;
  EventLosses losses;
  std::string saved_to;   // --save, when it was written
  std::string save_hint;  // a file name to propose for --save; "" when there is nothing to propose
};

}  // namespace namewall::agent
