// Durations as the policy language writes them: "5s", "500ms", "1h30m".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/boot_time.h"

namespace namewall {

inline constexpr Nanoseconds kMaxDuration = std::chrono::hours(8760);  // one year

// Whole numbers with the units h, m, s, ms, each at most once and in this order, at most kMaxDuration in all.
std::optional<Nanoseconds> parse_duration(std::string_view text);
// The shortest form that parses to the same value ("1h30m", "0s"). Parts below a millisecond are dropped.
std::string format_duration(Nanoseconds duration);

}  // namespace namewall
