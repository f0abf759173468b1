#include "bpf/boot_ids.h"

#include <bpf/bpf.h>

#include <algorithm>

#include "bpf/abi.h"

namespace namewall::bpf {
namespace {

constexpr std::uint32_t kKey = 0;

}  // namespace

Result<BootIds> BootIds::open(int ids_fd) {
  nw_ids ids{};
  if (const int error = bpf_map_lookup_elem(ids_fd, &kKey, &ids); error < 0)
    return fail_errno(-error, "cannot read the next ids");
  return BootIds(ids_fd, std::max(ids.next_workload_id, 1u), std::max(ids.next_policy_id, 1u));
}

// Stored before it is used: a process that dies in between leaves a gap, never a second use.
Result<void> BootIds::store(std::uint32_t workload_id, std::uint32_t policy_id) {
  const nw_ids ids{workload_id, policy_id};
  if (const int error = bpf_map_update_elem(ids_fd_, &kKey, &ids, BPF_ANY); error < 0)
    return fail_errno(-error, "cannot write the next ids");
  next_workload_id_ = workload_id;
  next_policy_id_ = policy_id;
  return {};
}

Result<std::uint32_t> BootIds::next_workload_id() {
  const std::uint32_t id = next_workload_id_;
  if (id >= NW_FIRST_POOLED_ID) return fail(ErrorKind::kLimit, "2^31 workloads were armed since the host booted");
  if (auto done = store(id + 1, next_policy_id_); !done) return tl::unexpected(done.error());
  return id;
}

Result<std::uint32_t> BootIds::next_policy_id() {
  const std::uint32_t id = next_policy_id_;
  if (id > NW_GENERATION_MAX) return fail(ErrorKind::kLimit, "2^24 policies were loaded since the host booted");
  if (auto done = store(next_workload_id_, id + 1); !done) return tl::unexpected(done.error());
  return id;
}

}  // namespace namewall::bpf
