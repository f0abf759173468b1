// What a process of somebody else holds open, as far as it matters to who may send and receive: its sockets and device
// nodes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace namewall::agent {

struct HeldSocket {
  ino_t inode = 0;
  int family = 0;  // AF_*
  int type = 0;    // SOCK_*
  std::uint64_t netns_cookie = 0;
};

struct HeldDescriptors {
  std::vector<HeldSocket> sockets;
  std::vector<std::string> devices;  // "/dev/net/tun", "/dev/kvm", "/dev/vhost-net", "/dev/vhost-vsock", "/dev/tap7"
  bool is_complete = true;           // false: the bound was reached, or something could not be looked at
};

inline constexpr std::size_t kMaxHeldDescriptors = 65536;

class HeldDescriptorReader {
 public:
  // `budget`: descriptors of all processes together.
  explicit HeldDescriptorReader(std::size_t budget);
  // `process_fd`: its directory in /proc. A socket that an earlier call has reported is left out. Asks no file system
  // that the process may serve itself. Needs CAP_SYS_PTRACE.
  HeldDescriptors read(std::uint32_t pid, int process_fd);

 private:
  std::size_t budget_;
  bool may_copy_;
  std::set<ino_t> seen_;
};

}  // namespace namewall::agent
