// Where a worker runs: on which CPU, in which cgroup, and with which sockets outside that cgroup.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "policy/result.h"

namespace namewall::bench {

class Descriptor {  // owns one file descriptor
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

Result<void> pin_to_cpu(int cpu);
// The lowest real-time priority: for measurements that sleep, which otherwise wait for a CPU behind everybody else.
Result<void> take_real_time_priority();
// Moves this process into the cgroup at `path`. Sockets made before keep their old cgroup.
Result<void> join_cgroup(const std::string& path);
// Runs `make` inside the network namespace at `path`; what it opens stays there.
Result<void> within_network_namespace(const std::string& path, const std::function<Result<void>()>& make);

// 0.0.0.0 and `port`, in host order; of the kernel's choice where it is 0: `port` gets it.
Result<Descriptor> listen_on_any(std::uint16_t& port);
// A UDP socket that nobody reads: once its small buffer is full, a datagram to it costs the sender the whole path.
Result<Descriptor> open_sink(std::uint16_t& port);

}  // namespace namewall::bench
