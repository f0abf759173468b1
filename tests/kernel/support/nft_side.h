// The nft backend in the test's network namespace, for tests that hold one cgroup by it: beside BPF, or alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "nft/host_enforcer.h"
#include "nft/transaction.h"
#include "policy/policy_image.h"
#include "tests/kernel/support/throwaway_cgroup.h"

namespace namewall::kernel_tests {

class NftSide {
 public:
  NftSide();  // fails the test where nf_tables is missing
  nft::HostEnforcer& host() { return *host_; }
  bool is_open() const { return host_.has_value(); }

  // Arms the cgroup, or replaces its policy. "": held; else why nft cannot hold this policy (its bounds), and then it
  // refuses everything or holds the policy before.
  std::string hold(const ThrowawayCgroup& cgroup, const PolicyImage& image);
  void let_go(const ThrowawayCgroup& cgroup);
  std::uint64_t id_of(const ThrowawayCgroup& cgroup) const;
  // Packets of the cgroup that the kernel has refused so far, as its own counter says.
  std::uint64_t refused(const ThrowawayCgroup& cgroup);

 private:
  std::optional<nft::HostEnforcer> host_;
  std::optional<nft::NftSocket> reader_;
};

}  // namespace namewall::kernel_tests
