// Peers as a test wants them.
#pragma once

#include <algorithm>
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

// Everyone who connects is the peer that was set last, but those that were announced.
class FakePeerSource : public PeerSource {
 public:
  Result<std::unique_ptr<PeerIdentity>> identify(int) const override {
    const std::lock_guard lock(mutex_);
    if (announced_ == 0) return std::make_unique<FakePeerIdentity>(peer_);
    --announced_;
    return std::make_unique<FakePeerIdentity>(next_);
  }
  void become(FakePeer peer) {
    const std::lock_guard lock(mutex_);
    peer_ = std::move(peer);
  }
  // The next `count` to be accepted, whenever that is.
  void announce(std::size_t count, FakePeer peer) {
    const std::lock_guard lock(mutex_);
    announced_ = count;
    next_ = std::move(peer);
  }

 private:
  mutable std::mutex mutex_;
  FakePeer peer_;
  mutable std::size_t announced_ = 0;
  FakePeer next_;
};

}  // namespace namewall::agent
