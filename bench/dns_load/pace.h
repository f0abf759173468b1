// When questions are asked: at a fixed rate, whatever becomes of them, or as many at a time as the window holds.
#pragma once

#include <algorithm>
#include <cstdint>

namespace namewall::bench {

inline constexpr std::uint64_t kSecond = 1'000'000'000;

struct Pace {
  double per_second = 0;       // 0: as fast as the window lets it
  std::uint32_t window = 100;  // unanswered questions, at most
  std::uint64_t most = 0;      // questions altogether; 0: until `end`
  std::uint64_t start = 0;     // CLOCK_MONOTONIC, ns
  std::uint64_t end = 0;       // no question is asked from then on

  // The time at which question `number` (from 0) is due.
  std::uint64_t due(std::uint64_t number) const {
    return per_second > 0 ? start + static_cast<std::uint64_t>(static_cast<double>(number) * kSecond / per_second)
                          : start;
  }

  // How many may be asked now.
  std::uint64_t allowed(std::uint64_t now, std::uint64_t asked, std::uint64_t in_flight) const {
    if (is_over(now, asked) || in_flight >= window || now < due(asked)) return 0;
    std::uint64_t count = window - in_flight;
    if (per_second > 0) {
      const auto owed = static_cast<std::uint64_t>(static_cast<double>(now - start) * per_second / kSecond) + 1;
      count = std::min(count, owed > asked ? owed - asked : 1);
    }
    return most > 0 ? std::min(count, most - asked) : count;
  }

  bool is_over(std::uint64_t now, std::uint64_t asked) const { return now >= end || (most > 0 && asked >= most); }
};

}  // namespace namewall::bench
