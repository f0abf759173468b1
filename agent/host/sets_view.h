// What the daemon's model holds of grants, as it is sent: lines of JSON, compact, because a host may have a hundred
// thousand of them. One object for the host, one for each workload, then an array for each of its grants
// (docs/openapi.json, listAllSets). Pure.
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
  std::string backend;             // "bpf", "nft"
  std::string mode;                // "enforce", "audit"; "" where nobody knows its policy
  std::int64_t as_of_ns = 0;       // CLOCK_BOOTTIME
  std::vector<std::string> rules;  // as written
  // Of nft: what a grant is in the kernel, an element each: "tcp/443", "icmp", "wide tcp/1000-2000" of a wide set.
  std::vector<std::vector<std::string>> ports;
  bool is_unreadable = false;  // the kernel did not give its grants
  friend bool operator==(const SetsWorkload&, const SetsWorkload&) = default;
};

// A live grant of the workload before it.
struct SetsGrant {
  std::string name;
  Address address;
  std::uint32_t ports = 0;   // index
  std::int32_t rule = -1;    // index; -1: no rule is known
  std::int64_t left_ms = 0;  // kUnknownTime: it never ends
  std::int64_t learned_ms_ago = kUnknownTime;
  std::int64_t renewed_ms_ago = kUnknownTime;
  std::int64_t hits = -1;  // -1: not counted
  friend bool operator==(const SetsGrant&, const SetsGrant&) = default;
};

// The first line of all: what somebody changed of the tables, a sentence each.
struct SetsHost {
  std::vector<std::string> changed;
  friend bool operator==(const SetsHost&, const SetsHost&) = default;
};

// With their line ends.
std::string to_line(const SetsHost& host);
std::string to_line(const SetsWorkload& workload);
void append_line(const SetsGrant& grant, std::string& out);

using SetsLine = std::variant<SetsHost, SetsWorkload, SetsGrant>;
// nullopt: no such line.
std::optional<SetsLine> parse_sets_line(std::string_view line);

}  // namespace namewall::agent
