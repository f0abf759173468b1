// The nft backend as the daemon has it, with many workloads: what arming one more costs, and teaching one address.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nft/host_enforcer.h"
#include "policy/policy_image.h"
#include "policy/result.h"

namespace namewall::bench {

class ArmedHost {
 public:
  // In this network namespace; workloads are cgroups made below `parent` (their owner removes them).
  static Result<ArmedHost> open(const std::string& parent);

  // Arms workloads until there are that many, then `timed` more: ns of each of those.
  Result<std::vector<std::uint64_t>> arm_up_to(std::uint32_t workloads, std::uint32_t timed);
  // Teaches the first workload until it has that many grants; then `timed` lessons of one new address each, ns each.
  Result<std::vector<std::uint64_t>> teach_up_to(std::uint32_t grants, std::uint32_t timed);

 private:
  ArmedHost(nft::HostEnforcer host, std::string parent, std::shared_ptr<const PolicyImage> image)
      : host_(std::move(host)), parent_(std::move(parent)), image_(std::move(image)) {}
  Result<std::uint64_t> arm_one();
  Result<void> teach(std::uint32_t first, std::uint32_t count);

  nft::HostEnforcer host_;
  std::string parent_;
  std::shared_ptr<const PolicyImage> image_;
  std::vector<std::uint64_t> ids_;
  std::uint32_t grants_ = 0;
};

}  // namespace namewall::bench
