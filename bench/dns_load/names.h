// What is asked for: names that nobody asked for before, or the same ones over and over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.h"

namespace namewall::bench {

class Names {
 public:
  // "fresh:SUFFIX": PID-N.SUFFIX, N counting up. "fixed:COUNT:SUFFIX": n0.SUFFIX to n(COUNT-1).SUFFIX, in an order
  // that looks random and is the same in every process.
  static Result<Names> parse(std::string_view text);

  // The next question for an A record; its id is `id`. Good until the next call.
  const std::vector<std::uint8_t>& next_question(std::uint16_t id);

 private:
  std::string suffix_;
  std::vector<std::vector<std::uint8_t>> fixed_;  // empty: fresh ones
  std::vector<std::uint8_t> fresh_;
  std::uint64_t count_ = 0;
};

}  // namespace namewall::bench
