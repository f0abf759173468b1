// The world of one test: two network namespaces joined by a veth pair, made for it and gone with it.
//
//   near  the calling thread (and every thread and process it starts from now on) lives here: lo, and the veth end with
//         10.77.0.2/24 and fd77::2/64; default routes lead to far. The workload runs here.
//   far   "the internet": 10.77.0.1 and fd77::1, and every address of 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24,
//         100.64.0.0/10, 10.0.0.0/8, 172.16.0.0/12, 169.254.169.254 and 2001:db8::/32, fd00::/8 is local there.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/kernel/support/owned_fd.h"

namespace namewall::kernel_tests {

inline constexpr char kNearDevice[] = "nwh-near";
inline constexpr char kFarDevice[] = "nwh-far";

class Network {
 public:
  Network();
  Network(const Network&) = delete;
  ~Network();

  // Runs `body` in the far namespace: sockets that it makes stay there.
  void in_far(const std::function<void()>& body) const;
  int far_netns() const { return far_.get(); }

 private:
  OwnedFd original_, near_, far_;
};

// Runs a command in the calling thread's namespace; a failure fails the test with its output.
void run_command(const std::vector<std::string>& arguments);
// "net/ipv4/ping_group_range", of the calling thread's namespace.
void write_sysctl(const std::string& path, const std::string& value);

}  // namespace namewall::kernel_tests
