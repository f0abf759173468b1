// A file that cannot be written now and then: says so once when it begins and once when it is over, and counts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "policy/result.h"

namespace namewall::agent {

class DiskTrouble {
 public:
  explicit DiskTrouble(std::string path) : what_(std::move(path)) {}

  // A sentence for the log, if this outcome is news.
  std::optional<std::string> note(const Result<void>& outcome);
  std::uint64_t failures() const { return failures_; }

 private:
  std::string what_;
  std::uint64_t failures_ = 0;
  std::uint64_t in_a_row_ = 0;
};

}  // namespace namewall::agent
