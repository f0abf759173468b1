// The fixture of the host's enforcement: pins in a BPF file system of the test's own, opened and closed at will.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bpf/host_enforcer.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {

class HostTest : public NetworkTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  bpf::HostOptions options() const;
  void open();   // closes what is open
  void close();  // as a process that ends
  std::shared_ptr<const PolicyImage> image_of(const std::vector<std::string>& allow) const;
  ArmRequest request(const ThrowawayCgroup& cgroup, const std::vector<std::string>& allow) const;
  ArmedCgroup arm(const ThrowawayCgroup& cgroup, const std::vector<std::string>& allow);
  static std::uint64_t id_of(const ThrowawayCgroup& cgroup);
  int tcp_in(const ThrowawayCgroup& cgroup, const std::string& address, std::uint16_t port = 443) const;
  LookupOutcome look_up_in(const ThrowawayCgroup& cgroup, const std::string& name) const;
  // What verify() says of everything.
  std::vector<std::string> damage();
  // Files and directories below the pins.
  std::size_t count_pins() const;

  std::string directory_;
  std::optional<bpf::HostEnforcer> host_;
};

}  // namespace namewall::kernel_tests
