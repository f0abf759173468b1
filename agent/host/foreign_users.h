// Foreign users of a workload's reach: what acts for it from outside its cgroup, or sends and receives where no hook of
// the cgroup looks. Facts are read from /proc (process_facts.h) and judged here. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace namewall::agent {

// Stable codes: index into kForeignUserCodes. Order matters to the helper's protocol only.
enum class ForeignUserCode : std::uint8_t {
  kContainerEngine,  // reaches the socket of docker, podman, containerd, cri-o or libvirt
  kPacketSocket,     // holds AF_PACKET
  kVsock,            // holds AF_VSOCK
  kTunnelDevice,     // holds /dev/net/tun or a tap
  kVirtualMachine,   // QEMU, Firecracker, Cloud Hypervisor, Kata; /dev/kvm open
  kUserNetstack,     // gVisor (runsc)
  kForeignSocket,    // holds an IP socket of another cgroup
  kCapability,       // a capability that undoes confinement
  kDelegatedCgroup,  // may write cgroup.procs of an outer cgroup
  kNotLookedAt,      // a bound of the inspection was reached, or something could not be read
};
inline constexpr std::size_t kForeignUserCodeCount = 10;

struct ForeignUser {
  ForeignUserCode code = ForeignUserCode::kNotLookedAt;
  std::uint32_t processes = 0;  // that have it
  std::uint32_t pid = 0;        // one of them
  std::string detail;  // "/run/docker.sock", "CAP_NET_ADMIN, CAP_BPF", a program's name; chosen by the workload: raw
};

std::string_view code_of(const ForeignUser& user);  // "container-engine"
std::string sentence_of(const ForeignUser& user);   // escaped, one sentence, for `why`
// Whether the workload is partial by it. kNotLookedAt alone is said, but makes nothing partial.
bool makes_partial(const ForeignUser& user);

// What was read of one process.
struct ProcessFacts {
  std::uint32_t pid = 0;
  std::string executable;                   // base name of /proc/PID/exe; "" unknown
  std::uint64_t capabilities = 0;           // effective, as far as they reach out of the workload (process_facts.h)
  std::vector<std::string> engine_sockets;  // that it may connect to
  std::vector<std::string> devices;         // open: "/dev/net/tun", "/dev/kvm", ...
  std::uint32_t packet_sockets = 0;
  std::uint32_t vsock_sockets = 0;
  std::uint32_t foreign_sockets = 0;  // IP sockets that belong to a cgroup outside the subtree
  bool may_leave = false;             // may write an outer cgroup.procs
};

struct WorkloadFacts {
  std::vector<ProcessFacts> processes;
  std::vector<std::string> not_looked_at;  // sentences without stop
};

// At most one entry for each (code, detail); at most kMaxForeignUsers.
std::vector<ForeignUser> find_foreign_users(const WorkloadFacts& facts);
inline constexpr std::size_t kMaxForeignUsers = 24;

}  // namespace namewall::agent
