// A workload that does its worst: refused connects in a loop, questions that no rule allows, endless fresh names below
// an allowed one, each with as many addresses as an answer holds.
#pragma once

#include <cstdint>

#include "bench/worker/lookups.h"
#include "policy/result.h"

namespace namewall::bench {

struct HostileTally {
  std::uint64_t refused_connects = 0;
  std::uint64_t refused_questions = 0;
  std::uint64_t delivered_answers = 0;
  std::uint64_t withheld_answers = 0;  // or lost
};

// Goes on until `stop_fd` becomes readable.
Result<HostileTally> be_hostile(Lookups& lookups, int stop_fd);

}  // namespace namewall::bench
