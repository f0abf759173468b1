// Who is at the other end of a unix socket, as the kernel tells it, and for as long as that process lives.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/host/host.h"
#include "agent/mount_table.h"
#include "policy/result.h"

namespace namewall::agent {

// One connected peer. The user and groups are those of the connect(); the cgroup is asked for anew by each look(),
// since a process can be moved between two requests.
class PeerIdentity {
 public:
  virtual ~PeerIdentity() = default;
  virtual std::uint32_t uid() const = 0;
  virtual bool is_member_of(std::uint32_t gid) const = 0;  // its own group or a supplementary one
  // The peer with its cgroup and executable now. kPermission: the process that connected is gone, or its cgroup cannot
  // be told: whoever holds the connection cannot be placed.
  virtual Result<Peer> look() const = 0;
};

// The seam that tests replace.
class PeerSource {
 public:
  virtual ~PeerSource() = default;
  virtual Result<std::unique_ptr<PeerIdentity>> identify(int connection) const = 0;
};

// SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD (Linux 6.5) and /proc. On older kernels the pidfd is opened from the process
// number at once after accept: between connect and accept a number could be used again only if the whole range of
// numbers went round meanwhile.
class KernelPeerSource : public PeerSource {
 public:
  static Result<KernelPeerSource> open();
  Result<std::unique_ptr<PeerIdentity>> identify(int connection) const override;  // the source outlives what it gives

 private:
  KernelPeerSource() = default;
  std::vector<Mount> mounts_;  // of cgroup2
};

}  // namespace namewall::agent
