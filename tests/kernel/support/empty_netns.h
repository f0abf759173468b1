// A network namespace without devices but lo (which is down), for tests of nf_tables alone: the calling thread, and
// what it starts, is in it until the end.
#pragma once

#include <string>

#include "tests/kernel/support/owned_fd.h"

namespace namewall::kernel_tests {

class EmptyNetns {
 public:
  EmptyNetns();
  EmptyNetns(const EmptyNetns&) = delete;
  ~EmptyNetns();

 private:
  OwnedFd original_;
};

// What nft(8) prints in the calling thread's namespace; a failure is a failure of the test.
std::string nft_output(const std::string& arguments);
// Its exit code, and nothing printed.
int nft_exit_code(const std::string& arguments);

}  // namespace namewall::kernel_tests
