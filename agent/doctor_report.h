// What `namewall doctor` has found, as values, and how it is shown. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace namewall::agent {

struct DoctorCheck {
  enum class State { kHolds, kMissing, kOptional };  // kOptional: missing, and `run` does without it
  std::string group;  // "host", "hooks", "maps", "helpers", "nft", "trial": the table's sections
  std::string id;
  State state = State::kMissing;
  std::string sentence;  // of what is missing: what was tried and what came of it; else what holds, may be empty
};

// A way around the policy that hooks on a cgroup's sockets do not see.
struct WayAround {
  enum class State { kClosed, kOpen, kAbsent };  // closed by run; open also under run; this host does not have it
  std::string id;
  State state = State::kOpen;
  std::string sentence;
};

// A program of somebody else's, or of an outer namewall, on the path of what a workload here sends and receives.
struct ForeignProgram {
  std::string hook;
  std::uint32_t id = 0;
  std::string name;  // chosen by whoever loaded it
  bool is_ours = false;
};

struct DoctorReport {
  std::vector<DoctorCheck> checks;
  std::vector<WayAround> ways_around;
  std::vector<ForeignProgram> foreign_programs;

  bool is_ready() const;  // nothing that `run` needs is missing
};

// A table for people, at most 80 columns wide (long words excepted), each line ended.
std::string to_table(const DoctorReport& report);
// One object on one line; docs/doctor.md has the fields.
std::string to_json(const DoctorReport& report);

}  // namespace namewall::agent
