// The messages between the daemon and its privileged helper: one fixed struct each way over a SOCK_SEQPACKET pair.
// Integers only, so that no bytes make an invalid value; each side checks every field before it believes it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "agent/host/foreign_users.h"
#include "agent/host/live_proof.h"
#include "agent/host/netns_sockets.h"
#include "policy/result.h"

namespace namewall::agent {

inline constexpr std::uint32_t kHelperVersion = 1;

enum class HelperTask : std::uint32_t { kOpenSockets = 1, kProve, kInspect, kListNamespaces };
inline constexpr HelperTask kHelperTasks[] = {HelperTask::kOpenSockets, HelperTask::kProve, HelperTask::kInspect,
                                              HelperTask::kListNamespaces};

struct WireProofPlan {
  std::uint8_t refused_address[16];
  std::uint8_t resolver_address[16];
  std::uint16_t refused_port;   // 0: this step is not to be tried
  std::uint16_t resolver_port;  // 0: likewise
  std::uint32_t loopback;       // 0 or 1
  char refused_name[40];        // ends with 0
};

struct HelperRequest {
  std::uint32_t version;
  std::uint32_t task;
  std::uint64_t id;
  std::uint64_t netns_cookie;  // of kOpenSockets
  std::uint32_t pid;           // likewise; of kInspect: a process to leave out, or 0
  std::uint32_t reserved;
  WireProofPlan proof;  // of kProve
};
// With one descriptor: the cgroup directory. kOpenSockets: none.
static_assert(sizeof(HelperRequest) == 32 + 80 && std::is_trivially_copyable_v<HelperRequest>);

struct WireStep {
  std::uint32_t outcome;
  std::int32_t error_number;
  std::int64_t took_ns;
};
struct WireProofOutcome {
  std::uint32_t obstacle;
  std::int32_t error_number;
  std::uint32_t pid;
  std::uint32_t in_own_cgroup;
  WireStep steps[3];
  std::int64_t took_ns;
};
struct WireForeignUser {
  std::uint32_t code, processes, pid, reserved;
  char detail[128];  // cut; ends with 0
};
struct WireNetns {
  std::uint64_t cookie;
  std::uint32_t pid, reserved;
};

struct HelperAnswer {
  std::uint32_t version;
  std::uint32_t task;
  std::uint64_t id;
  std::uint32_t error;  // 0: none; else 1 + ErrorKind
  std::int32_t error_number;
  char what[160];
  std::uint32_t count;  // of users or namespaces
  std::uint32_t is_complete;
  std::uint32_t sockets_elsewhere, raw_sockets;
  WireProofOutcome proof;
  WireForeignUser users[kMaxForeignUsers];
  WireNetns namespaces[kMaxListedNamespaces];
};
static_assert(std::is_trivially_copyable_v<HelperAnswer>);
// Descriptors of kOpenSockets, in this order: IPv4 raw and sysctl, the IPv6 two (or neither), sock_diag.
inline constexpr std::size_t kMaxPassedDescriptors = 5;

HelperRequest make_request(HelperTask task, std::uint64_t id);
HelperAnswer make_answer(const HelperRequest& request);  // empty, without an error
HelperAnswer make_answer(const HelperRequest& request, const Error& error);

WireProofPlan to_wire(const ProofPlan& plan);
void put(HelperAnswer& answer, const ProofOutcome& outcome);
void put(HelperAnswer& answer, const std::vector<ForeignUser>& users);
void put(HelperAnswer& answer, const NetnsList& list);

// What the helper does for nobody is kInvalid: an unknown task, an address outside the documentation ranges, another
// name than plan_proof() makes, a field that the task does not have.
Result<HelperTask> check_request(const HelperRequest& request, std::size_t descriptors);
ProofPlan read_plan(const WireProofPlan& plan);

// kInvalid where the answer is not one to `task`; the helper's own error where it has one.
Result<void> check_answer(const HelperAnswer& answer, HelperTask task, std::size_t descriptors);
Result<ProofOutcome> read_outcome(const HelperAnswer& answer);
Result<std::vector<ForeignUser>> read_users(const HelperAnswer& answer);
Result<NetnsList> read_namespaces(const HelperAnswer& answer);

}  // namespace namewall::agent
