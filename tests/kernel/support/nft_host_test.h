// The fixture of the nft backend: opened and closed at will, in a network namespace of the test's own.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nft/host_enforcer.h"
#include "policy/policy.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {

class NftHostTest : public testing::Test {
 protected:
  void SetUp() override {
    network_.in_far([this] {
      far_ = std::make_unique<FarServices>(std::vector<std::uint16_t>{80, 443, 8443},
                                           std::vector<std::uint16_t>{123, 443});
    });
  }
  void TearDown() override {
    close();
    const auto lifted = nft::HostEnforcer::teardown_all(options_);
    EXPECT_TRUE(lifted) << lifted.error().message();
  }

  void open();  // closes what is open
  void close() { host_.reset(); }
  // As on a kernel whose tables nobody can own, and whose elements cannot be renewed in place.
  void become_old_kernel();

  static std::shared_ptr<const PolicyImage> image_with(const Policy& policy);
  static std::shared_ptr<const PolicyImage> image_of(const std::vector<std::string>& allow);
  ArmRequest request(const ThrowawayCgroup& cgroup, std::shared_ptr<const PolicyImage> image) const;
  ArmedCgroup arm(const ThrowawayCgroup& cgroup, std::shared_ptr<const PolicyImage> image);
  Reason teach(const ThrowawayCgroup& cgroup, const PolicyImage& image, const std::string& name,
               const std::vector<std::string>& addresses, Nanoseconds left = std::chrono::hours(1));
  static std::uint64_t id_of(const ThrowawayCgroup& cgroup);
  static int tcp_in(const ThrowawayCgroup& cgroup, const std::string& address, std::uint16_t port = 443) {
    return in_cgroup(cgroup, [&] { return tcp_connect(ip(address), port); });
  }
  static int udp_in(const ThrowawayCgroup& cgroup, const std::string& address, std::uint16_t port = 123) {
    return in_cgroup(cgroup, [&] { return udp_send_to(ip(address), port); });
  }
  std::vector<std::string> damage();
  std::vector<Event> events();

  Network network_;
  std::unique_ptr<FarServices> far_;
  nft::HostOptions options_{.log_group = 7791, .own_netns = 1, .abilities = std::nullopt};
  std::optional<nft::HostEnforcer> host_;
  ThrowawayCgroup cgroup_;
};

}  // namespace namewall::kernel_tests
