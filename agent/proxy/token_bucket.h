// So many a second, a second's worth at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "policy/boot_time.h"

namespace namewall::agent {

// Of a bound: all of it, or the half that workloads nested in its owner may use, so that they leave it the other.
enum class Share { kWhole, kHalf };

class TokenBucket {
 public:
  bool has(std::uint32_t per_second, Share share, BootTime now) const {
    if (per_second == 0) return false;
    const Nanoseconds cost = kSecond / per_second;
    const Nanoseconds room = share == Share::kWhole ? kSecond : std::max(kSecond / 2, cost);
    return std::max(full_at_, now) - now + cost <= room;
  }
  // Where has(): false otherwise leaves a debt.
  void take(std::uint32_t per_second, BootTime now) {
    full_at_ = std::max(full_at_, now) + kSecond / std::max(per_second, 1u);
  }
  bool is_full(BootTime now) const { return full_at_ <= now; }

 private:
  static constexpr Nanoseconds kSecond = std::chrono::seconds(1);
  BootTime full_at_{};
};

}  // namespace namewall::agent
