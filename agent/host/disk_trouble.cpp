#include "agent/host/disk_trouble.h"

#include <utility>

namespace namewall::agent {

std::optional<std::string> DiskTrouble::note(const Result<void>& outcome) {
  if (outcome) {
    const auto failed = std::exchange(in_a_row_, 0);
    if (failed == 0) return std::nullopt;
    return what_ + " is written again, after " + std::to_string(failed) +
           (failed == 1 ? " failed attempt" : " failed attempts");
  }
  ++failures_;
  if (in_a_row_++ > 0) return std::nullopt;
  return outcome.error().message() + "; enforcement goes on";
}

}  // namespace namewall::agent
