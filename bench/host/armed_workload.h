// A cgroup armed by namewall for a benchmark: its policy, and grants put in from user space.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bpf/enforcer.h"
#include "policy/policy_image.h"
#include "policy/result.h"

namespace namewall::bench {

// Allows bench.example and every name below it, on every port, with answers from `resolvers` alone; and `more_rules`
// further names (rNNN.rules.example).
Result<PolicyImage> build_image(const std::vector<std::string>& resolvers, std::uint32_t max_addresses,
                                std::uint32_t more_rules);

class ArmedWorkload {
 public:
  // An enforcer with one workload, as `namewall run` has; `enforcer` may be shared between workloads.
  static Result<ArmedWorkload> arm(std::shared_ptr<bpf::Enforcer> enforcer, int cgroup_fd, const PolicyImage& image);

  // The first `count` addresses of bench/addresses.h, for bench.example and a day.
  Result<void> grant(std::uint32_t count);
  Result<void> replace(const PolicyImage& image);
  Result<void> disarm(int cgroup_fd);
  const bpf::Enforcer& enforcer() const { return *enforcer_; }
  const bpf::Workload& workload() const { return workload_; }

 private:
  ArmedWorkload(std::shared_ptr<bpf::Enforcer> enforcer, const bpf::Workload& workload, const PolicyImage& image)
      : enforcer_(std::move(enforcer)), workload_(workload), image_(image) {}

  std::shared_ptr<bpf::Enforcer> enforcer_;
  bpf::Workload workload_;
  PolicyImage image_;
};

}  // namespace namewall::bench
