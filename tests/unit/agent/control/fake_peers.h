// Peers as a test wants them.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/control/peer_identity.h"

namespace namewall::agent {

struct FakePeer {
  std::uint32_t uid = 0;
  std::vector<std::uint32_t> groups = {};
  std::string cgroup = "/system";
  bool gone = false;
};

class FakePeerIdentity : public PeerIdentity {
 public:
  explicit FakePeerIdentity(FakePeer peer) : peer_(std::move(peer)) {}
  std::uint32_t uid() const override { return peer_.uid; }
  bool is_member_of(std::uint32_t gid) const override {
    return std::find(peer_.groups.begin(), peer_.groups.end(), gid) != peer_.groups.end();
  }
  Result<Peer> look() const override {
    if (peer_.gone) return fail(ErrorKind::kPermission, "the process is gone");
    Peer peer;
    peer.uid = peer_.uid;
    peer.cgroup = peer_.cgroup;
    return peer;
  }

 private:
  FakePeer peer_;
};

// Everyone who connects is `peer`.
class FakePeerSource : public PeerSource {
 public:
  Result<std::unique_ptr<PeerIdentity>> identify(int) const override {
    const std::lock_guard lock(mutex_);
    return std::make_unique<FakePeerIdentity>(peer_);
  }
  void become(FakePeer peer) {
    const std::lock_guard lock(mutex_);
    peer_ = std::move(peer);
  }

 private:
  mutable std::mutex mutex_;
  FakePeer peer_;
};

}  // namespace namewall::agent
