// What the daemon's model holds of grants, as it is sent: lines of JSON, compact, because a host may have a hundred
// thousand of them. One object for each workload, then an array for each of its grants (docs/openapi.json, GetSets).
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/address.h"
#include "policy/boot_time.h"

namespace namewall::agent {

inline constexpr std::int64_t kUnknownTime = -1;

struct SetsWorkload {
  std::string workload;
  std::string cgroup;
  std::uint64_t cgroup_id = 0;
  std::string backend;               // "bpf", "nft"
  std::string mode;                  // "enforce", "audit"; "" where nobody knows its policy
  std::int64_t as_of_ns = 0;         // CLOCK_BOOTTIME
  std::vector<std::string> rules;    // as written
  std::vector<std::string> ports;    // "tcp/443"
  bool is_unreadable = false;        // the kernel did not give its grants
  friend bool operator==(const SetsWorkload&, const SetsWorkload&) = default;
};

// A live grant of the workload before it.
struct SetsGrant {
  std::string name;
  Address address;
  std::uint32_t ports = 0;           // index: what the address may be reached on because of this name
  std::int32_t rule = -1;            // index; -1: no rule is known
  std::int64_t left_ms = 0;          // kUnknownTime: it never ends
  std::int64_t learned_ms_ago = kUnknownTime;
  std::int64_t renewed_ms_ago = kUnknownTime;
  std::int64_t hits = -1;            // -1: not counted
  friend bool operator==(const SetsGrant&, const SetsGrant&) = default;
};

// With their line ends.
std::string to_line(const SetsWorkload& workload);
void append_line(const SetsGrant& grant, std::string& out);

using SetsLine = std::variant<SetsWorkload, SetsGrant>;
// nullopt: no such line.
std::optional<SetsLine> parse_sets_line(std::string_view line);

// What a repair found: POST /v1/sets/repair.
struct RepairView {
  std::uint64_t unknown = 0;          // elements that the model does not know
  std::uint64_t missing = 0;          // elements that the kernel had lost
  std::vector<std::string> changed;   // what else somebody had changed, a sentence each
  std::vector<std::string> unrepaired;
};

}  // namespace namewall::agent
