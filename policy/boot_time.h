// The one clock of namewall: CLOCK_BOOTTIME, the clock that the BPF programs compare deadlines with.
// The model never reads it: a BootTime is always an argument.
#pragma once

#include <chrono>
#include <compare>

namespace namewall {

using Nanoseconds = std::chrono::nanoseconds;

struct BootTime {
  Nanoseconds since_boot{0};

  friend auto operator<=>(const BootTime&, const BootTime&) = default;
  friend BootTime operator+(BootTime t, Nanoseconds d) { return {t.since_boot + d}; }
  friend Nanoseconds operator-(BootTime a, BootTime b) { return a.since_boot - b.since_boot; }
};

// A grant with this deadline never ends (retain = "workload").
inline constexpr BootTime kNever{Nanoseconds::max()};

}  // namespace namewall
