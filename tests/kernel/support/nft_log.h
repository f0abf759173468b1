// What the kernel reports to an NFLOG group of the calling thread's network namespace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/kernel/support/owned_fd.h"

namespace namewall::kernel_tests {

struct LogEntry {
  std::string prefix;
  std::uint32_t mark = 0;
};

class NftLog {
 public:
  explicit NftLog(std::uint16_t group);
  std::vector<LogEntry> take();  // what has come so far

 private:
  OwnedFd socket_;
};

}  // namespace namewall::kernel_tests
