#include "agent/host/histogram.h"

#include <algorithm>

namespace namewall::agent {

void Histogram::observe(std::chrono::nanoseconds duration) {
  duration = std::max(duration, std::chrono::nanoseconds(0));
  const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), duration) - kBounds.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  sum_ += duration;
  longest_ = std::max(longest_, duration);
}

std::uint64_t Histogram::at_most(std::size_t index) const {
  std::uint64_t total = 0;
  for (std::size_t bucket = 0; bucket <= std::min(index, kBounds.size()); ++bucket) total += counts_[bucket];
  return total;
}

}  // namespace namewall::agent
