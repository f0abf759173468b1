// The addresses that the benchmarks grant and connect to. They look public and are local routes of the benchmark's own
// network namespace: nothing leaves it.
#pragma once

#include <array>
#include <cstdint>

namespace namewall::bench {

inline constexpr std::uint32_t kMaxGrants = 1'000'000;

// Address `index` in network order, within 11.0.0.0/8; index < 2^24 - 1.
inline std::array<std::uint8_t, 4> granted_address(std::uint32_t index) {
  const std::uint32_t host = index + 1;
  return {11, static_cast<std::uint8_t>(host >> 16), static_cast<std::uint8_t>(host >> 8),
          static_cast<std::uint8_t>(host)};
}

}  // namespace namewall::bench
