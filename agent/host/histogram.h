// Durations counted into fixed buckets, as Prometheus wants them.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace namewall::agent {

class Histogram {
 public:
  // Upper ends, inclusive; one more bucket takes what is longer.
  static constexpr std::array<std::chrono::nanoseconds, 16> kBounds{
      std::chrono::microseconds(10),  std::chrono::microseconds(25),   std::chrono::microseconds(50),
      std::chrono::microseconds(100), std::chrono::microseconds(250),  std::chrono::microseconds(500),
      std::chrono::milliseconds(1),   std::chrono::microseconds(2500), std::chrono::milliseconds(5),
      std::chrono::milliseconds(10),  std::chrono::milliseconds(25),   std::chrono::milliseconds(50),
      std::chrono::milliseconds(100), std::chrono::milliseconds(500),  std::chrono::seconds(1),
      std::chrono::seconds(5)};

  void observe(std::chrono::nanoseconds duration);  // a negative one counts as 0

  // Observations of at most kBounds[index]; index == kBounds.size(): all of them.
  std::uint64_t at_most(std::size_t index) const;
  std::uint64_t count() const { return at_most(kBounds.size()); }
  std::chrono::nanoseconds sum() const { return sum_; }
  std::chrono::nanoseconds longest() const { return longest_; }

 private:
  std::array<std::uint64_t, kBounds.size() + 1> counts_{};
  std::chrono::nanoseconds sum_{}, longest_{};
};

}  // namespace namewall::agent
