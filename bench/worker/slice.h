// A slice: some hundred operations timed together. Slices of the compared variants alternate, so that whatever else the
// machine does falls on all of them.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <ctime>
#include <vector>

#include "policy/result.h"

namespace namewall::bench {

inline std::uint64_t read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

struct Slice {
  std::uint64_t wall_ns = 0;
  // CPU time of this thread with the softirq work done in it. For operations that never sleep it is what they cost,
  // also when another process took the CPU in between.
  std::uint64_t cpu_ns = 0;
  bool preempted = false;
};

// `operation(i)` returns Result<void>; the first failure ends the slice.
template <typename Operation>
Result<Slice> time_slice(std::uint32_t count, Operation&& operation) {
  rusage before{};
  rusage after{};
  getrusage(RUSAGE_THREAD, &before);
  const std::uint64_t wall = read_clock(CLOCK_MONOTONIC);
  const std::uint64_t cpu = read_clock(CLOCK_THREAD_CPUTIME_ID);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (Result<void> done = operation(i); !done) return tl::unexpected<Error>(std::move(done.error()));
  }
  Slice slice;
  slice.cpu_ns = read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu;
  slice.wall_ns = read_clock(CLOCK_MONOTONIC) - wall;
  getrusage(RUSAGE_THREAD, &after);
  slice.preempted = after.ru_nivcsw != before.ru_nivcsw;
  return slice;
}

// Each operation timed alone: wall time, ns, in the order of the calls.
template <typename Operation>
Result<std::vector<std::uint64_t>> time_each(std::uint32_t count, Operation&& operation) {
  std::vector<std::uint64_t> elapsed;
  elapsed.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t start = read_clock(CLOCK_MONOTONIC);
    if (Result<void> done = operation(i); !done) return tl::unexpected<Error>(std::move(done.error()));
    elapsed.push_back(read_clock(CLOCK_MONOTONIC) - start);
  }
  return elapsed;
}

}  // namespace namewall::bench
