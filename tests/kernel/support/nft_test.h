// The fixture of the tests of the nft backend's rules: the network, services far away, a table, and one enforced
// cgroup.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/kernel/support/client.h"
#include "tests/kernel/support/far_services.h"
#include "tests/kernel/support/network.h"
#include "tests/kernel/support/nft_table.h"
#include "tests/kernel/support/throwaway_cgroup.h"
#include "tests/kernel/support/workload_process.h"

namespace namewall::kernel_tests {

class NftTest : public testing::Test {
 protected:
  static constexpr std::uint16_t kToken = 0x0a11;

  void SetUp() override {
    network_.in_far([this] {
      far_ = std::make_unique<FarServices>(std::vector<std::uint16_t>{80, 443, 8443},
                                           std::vector<std::uint16_t>{53, 123, 443});
    });
    table_ = std::make_unique<NftTable>();
    place_ = place_of(cgroup_);
    table_->make(plan());
    enforce(place_.id, kToken);
  }

  virtual nft::RulesetPlan plan() const {
    return {.depths = {place_.depth}, .parent_depths = {}, .redirects_dns = false};
  }
  void enforce(std::uint64_t id, std::uint16_t token) {
    table_->add({cgroup_in(nft::SetId::kEnforced, id), token_of(id, token)});
  }
  int tcp_inside(const std::string& address, std::uint16_t port = 443) {
    return in_cgroup(cgroup_, [&] { return tcp_connect(ip(address), port); });
  }
  int udp_inside(const std::string& address, std::uint16_t port = 443) {
    return in_cgroup(cgroup_, [&] { return udp_send_to(ip(address), port); });
  }
  std::uint64_t refused() {
    std::uint64_t packets = 0;
    for (const auto& element : table_->list(nft::SetId::kRefused)) packets += element.packets;
    return packets;
  }

  Network network_;
  std::unique_ptr<FarServices> far_;
  std::unique_ptr<NftTable> table_;
  ThrowawayCgroup cgroup_;
  CgroupPlace place_;
};

}  // namespace namewall::kernel_tests
