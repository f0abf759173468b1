#include "tests/kernel/support/empty_netns.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace namewall::kernel_tests {

EmptyNetns::EmptyNetns() : original_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  if (unshare(CLONE_NEWNET) != 0) ADD_FAILURE() << "unshare(CLONE_NEWNET): " << std::strerror(errno);
}

EmptyNetns::~EmptyNetns() {
  if (setns(original_.get(), CLONE_NEWNET) != 0) std::abort();  // what follows would be in the wrong one
}

std::string nft_output(const std::string& arguments) {
  auto* pipe = popen(("/usr/sbin/nft " + arguments + " 2>&1").c_str(), "re");
  if (pipe == nullptr) {
    ADD_FAILURE() << "popen: " << std::strerror(errno);
    return "";
  }
  std::string output;
  std::array<char, 4096> buffer;
  for (std::size_t size; (size = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), size);
  if (const int status = pclose(pipe); status != 0) ADD_FAILURE() << "nft " << arguments << " failed:\n" << output;
  return output;
}

int nft_exit_code(const std::string& arguments) {
  const int status = std::system(("/usr/sbin/nft " + arguments + " > /dev/null 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace namewall::kernel_tests
