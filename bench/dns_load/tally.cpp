#include "bench/dns_load/tally.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/worker/dns_wire.h"

namespace namewall::bench {
namespace {

// The smallest latency that `share` of them do not exceed, in microseconds.
double percentile(const std::vector<std::uint64_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return static_cast<double>(sorted[std::max<std::size_t>(rank, 1) - 1]) / 1000;
}

}  // namespace

void Tally::answered(std::span<const std::uint8_t> message, std::uint64_t latency_ns) {
  const auto id = static_cast<std::uint16_t>(message[0] << 8 | message[1]);
  if (!is_answer(message, id)) {
    failed((message[2] & 0x02) != 0 ? "truncated"  // TC, RFC 1035 section 4.1.1
                                    : "rcode " + std::to_string(message[3] & 0x0f));
    return;
  }
  latencies_.push_back(latency_ns);
}

void Tally::failed(const std::string& why) {
  ++failures_;
  ++reasons_[why];
}

std::string Tally::json(std::uint64_t elapsed_ns, bool with_each) {
  std::sort(latencies_.begin(), latencies_.end());
  const double seconds = static_cast<double>(elapsed_ns) / 1e9;
  nlohmann::json figures = {
      {"asked", asked_},
      {"answered", latencies_.size()},
      {"failed", failures_},
      {"reasons", reasons_},
      {"strays", strays_},
      {"seconds", seconds},
      {"per_second", seconds > 0 ? static_cast<double>(latencies_.size()) / seconds : 0},
      {"p50_us", percentile(latencies_, 0.5)},
      {"p99_us", percentile(latencies_, 0.99)},
      {"p999_us", percentile(latencies_, 0.999)},
  };
  if (with_each) figures["latencies_ns"] = latencies_;
  return figures.dump();
}

}  // namespace namewall::bench
