// Numbers that are not given twice within one boot: the next ones lie in the layer's `ids` map.
#pragma once

#include <cstdint>

#include "policy/result.h"

namespace namewall::bpf {

class BootIds {
 public:
  static Result<BootIds> open(int ids_fd);

  Result<std::uint32_t> next_workload_id();
  // Also the generation of the workloads that have the policy. kLimit after 2^24 policies.
  Result<std::uint32_t> next_policy_id();
  // The one that the next call will give.
  std::uint32_t first_fresh_policy_id() const { return next_policy_id_; }

 private:
  BootIds(int ids_fd, std::uint32_t workload_id, std::uint32_t policy_id)
      : ids_fd_(ids_fd), next_workload_id_(workload_id), next_policy_id_(policy_id) {}
  Result<void> store(std::uint32_t workload_id, std::uint32_t policy_id);

  int ids_fd_;
  std::uint32_t next_workload_id_, next_policy_id_;
};

}  // namespace namewall::bpf
