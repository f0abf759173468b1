// Who may ask what of the daemon. Rights come from the connection's peer alone, never from the request.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/control/peer_identity.h"
#include "agent/host/host.h"
#include "policy/result.h"

namespace namewall::agent {

enum class Right {
  kOwn,     // what concerns the peer's own workload: any process
  kRead,    // root, the daemon's own user, members of the readers' group
  kChange,  // root
};

struct AccessRules {
  std::uint32_t own_uid = 0;                 // the daemon's
  std::optional<std::uint32_t> readers_gid;  // of group `namewall`; nullopt: there is none
};

// By user and groups alone.
bool has_right(const PeerIdentity& identity, Right right, const AccessRules& rules);

// The peer, if it has `right` now. Root inside a workload's cgroup has no more than kOwn: a workload that could rewrite
// its own policy would be held by nothing. A peer whose cgroup cannot be told is refused even kOwn. kPermission: a
// sentence that says who may.
Result<Peer> admit(const PeerIdentity& identity, Right right, const AccessRules& rules, Host& host);

// Whose share of the connections one of this peer comes from: "" for those who may read; else its workload or its user; of a restriction its user.
std::string find_holder(const PeerIdentity& identity, const AccessRules& rules, Host& host);

}  // namespace namewall::agent
