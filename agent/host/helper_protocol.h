// The messages between the daemon and its privileged helper: one fixed struct each way over a SOCK_SEQPACKET pair.
// Integers only, so that no bytes make an invalid value; each side checks every field before it believes it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "agent/host/foreign_users.h"
#include "agent/host/live_proof.h"
#include "agent/host/netns_sockets.h"
#include "agent/host/proxy_namespaces.h"
#include "agent/host/restricted_cgroup.h"
#include "policy/result.h"

namespace namewall::agent {

inline constexpr std::uint32_t kHelperVersion = 4;

enum class HelperTask : std::uint32_t {
  kOpenSockets = 1,
  kProve,
  kInspect,
  kListNamespaces,
  kOpenProxy,
  kMakeSockets,
  kCheckProcesses,
  kScanNamespaces,
  kOpenTables,
  kMakeRestricted,
  kEnterRestricted,
  kRemoveRestricted
};
inline constexpr HelperTask kHelperTasks[] = {
    HelperTask::kOpenSockets, HelperTask::kProve,          HelperTask::kInspect,         HelperTask::kListNamespaces,
    HelperTask::kOpenProxy,   HelperTask::kMakeSockets,    HelperTask::kCheckProcesses,  HelperTask::kScanNamespaces,
    HelperTask::kOpenTables,  HelperTask::kMakeRestricted, HelperTask::kEnterRestricted, HelperTask::kRemoveRestricted};

struct WireProofPlan {
  std::uint8_t refused_address[16];
  std::uint8_t resolver_address[16];
  std::uint16_t refused_port;   // 0: this step is not to be tried
  std::uint16_t resolver_port;  // 0: likewise
  std::uint32_t flags;          // kProvesLoopback, kRefusesPackets
  char refused_name[40];        // ends with 0
};

inline constexpr std::uint32_t kProvesLoopback = 1, kRefusesPackets = 2;

inline constexpr std::uint32_t kMayBeAbleToLeave = 1, kInOwnNetns = 2;

struct WireResolver {
  std::uint8_t address[16];
  std::uint16_t port;
  std::uint16_t reserved[3];
};
struct WireProcess {
  std::uint64_t netns_inode;
  std::uint32_t pid;
  std::uint32_t reserved;
};
struct WireSocketCounts {
  std::uint32_t udp4, tcp4, udp6, tcp6;
};

// RestrictOrder. Of kEnterRestricted the cgroup that the process leaves alone; of kRemoveRestricted nothing.
struct WireRestriction {
  std::uint64_t number;
  std::uint64_t cgroup_id;
  std::uint32_t uid;
  std::uint32_t child;
  std::uint32_t flags;  // kMayBeAbleToLeave, kInOwnNetns
  std::uint32_t reserved;
};

struct HelperRequest {
  std::uint32_t version;
  std::uint32_t task;
  std::uint64_t id;
  std::uint64_t netns_cookie;  // of kOpenSockets, kOpenProxy, kMakeSockets, kOpenTables
  std::uint32_t pid;           // of those but kMakeSockets; of kInspect: a process to leave out, or 0
  std::uint32_t count;         // of resolvers (kOpenProxy) or processes (kCheckProcesses)
  WireProofPlan proof;         // of kProve
  WireSocketCounts sockets;    // of kMakeSockets
  WireResolver resolvers[kMaxPlacesPerRequest];
  WireProcess processes[kMaxCheckedProcesses];
  WireRestriction restriction;  // of kMakeRestricted, kEnterRestricted
};
// With one descriptor: the cgroup directory, of kMakeSockets the network namespace, of kMakeRestricted the pidfd of the
// process that asks; kEnterRestricted: with two, the cgroup directory and a pidfd; kOpenSockets, kOpenProxy,
// kCheckProcesses, kScanNamespaces and kOpenTables: none.
static_assert(sizeof(HelperRequest) == 32 + 80 + 16 + 24 * kMaxPlacesPerRequest + 16 * kMaxCheckedProcesses + 32 &&
              std::is_trivially_copyable_v<HelperRequest>);

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
struct WirePlace {
  std::uint32_t error;  // 0: its two sockets are passed; else 1 + ErrorKind
  std::int32_t error_number;
};
struct WireFound {
  std::uint64_t cookie;
  WireProcess process;
};

struct HelperAnswer {
  std::uint32_t version;
  std::uint32_t task;
  std::uint64_t id;
  std::uint32_t error;  // 0: none; else 1 + ErrorKind
  std::int32_t error_number;
  char what[160];
  std::uint32_t count;  // of users, namespaces, places or processes found
  std::uint32_t is_complete;
  std::uint32_t sockets_elsewhere, raw_sockets;
  WireProofOutcome proof;
  WireForeignUser users[kMaxForeignUsers];
  WireNetns namespaces[kMaxListedNamespaces];
  WirePlace places[kMaxPlacesPerRequest];
  WireFound found[kMaxScannedEntries];
  std::uint64_t still_there;  // of kCheckProcesses, a bit each
  std::uint32_t obstacle;     // RestrictObstacle: of an error of kMakeRestricted
  std::uint32_t reserved;
};
static_assert(std::is_trivially_copyable_v<HelperAnswer>);
// Descriptors of kOpenSockets, in this order: IPv4 raw and sysctl, the IPv6 two (or neither), sock_diag. Of kOpenProxy:
// the network namespace, sock_diag, and UDP and TCP of each place without an error. Of kMakeSockets: the sockets.
// Of kOpenTables: nf_tables, NFLOG, connection tracking. Of kMakeRestricted: the new cgroup's directory, the pidfd of
// the process to be moved.
inline constexpr std::size_t kMaxRefusalDescriptors = 5;
inline constexpr std::size_t kMaxPassedDescriptors = 2 + 2 * kMaxPlacesPerRequest;
static_assert(kMaxSocketsPerRequest <= kMaxPassedDescriptors);

HelperRequest make_request(HelperTask task, std::uint64_t id);
HelperAnswer make_answer(const HelperRequest& request);  // empty, without an error
HelperAnswer make_answer(const HelperRequest& request, const Error& error);

WireProofPlan to_wire(const ProofPlan& plan);
// At most kMaxPlacesPerRequest and kMaxCheckedProcesses; the rest is left out.
void put(HelperRequest& request, std::span<const ResolverAddress> resolvers);
void put(HelperRequest& request, std::span<const ProcessInNetns> processes);
void put(HelperRequest& request, const SocketCounts& counts);
void put(HelperRequest& request, const RestrictOrder& order);
void put(HelperAnswer& answer, const ProofOutcome& outcome);
void put(HelperAnswer& answer, const std::vector<ForeignUser>& users);
void put(HelperAnswer& answer, const NetnsList& list);
void put(HelperAnswer& answer, std::span<const Result<ProxySockets>> places);
void put(HelperAnswer& answer, const NetnsScan& scan);

// What the helper does for nobody is kInvalid: an unknown task, a proof at an address outside the documentation ranges
// or of another name than plan_proof() makes, a count beyond its bound, a field that the task does not have.
Result<HelperTask> check_request(const HelperRequest& request, std::size_t descriptors);
ProofPlan read_plan(const WireProofPlan& plan);
std::vector<ResolverAddress> read_resolvers(const HelperRequest& request);
std::vector<ProcessInNetns> read_processes(const HelperRequest& request);
SocketCounts read_counts(const HelperRequest& request);
RestrictOrder read_order(const HelperRequest& request);

// kInvalid where the answer is not one to `task`; the helper's own error where it has one.
Result<void> check_answer(const HelperAnswer& answer, HelperTask task, std::size_t descriptors);
Result<ProofOutcome> read_outcome(const HelperAnswer& answer);
Result<std::vector<ForeignUser>> read_users(const HelperAnswer& answer);
Result<NetnsList> read_namespaces(const HelperAnswer& answer);
Result<NetnsScan> read_scan(const HelperAnswer& answer);
// kNone where the number is none of these.
RestrictObstacle read_obstacle(const HelperAnswer& answer);
// An error for each place that could not be opened; the sockets are among the descriptors.
Result<std::vector<Result<void>>> read_places(const HelperAnswer& answer, std::size_t resolvers,
                                              std::size_t descriptors);

}  // namespace namewall::agent
