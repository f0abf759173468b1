#include "agent/control/access.h"

#include <utility>

#include "agent/host/restriction_name.h"

namespace namewall::agent {
namespace {

constexpr std::uint32_t kRoot = 0;

tl::unexpected<Error> refuse(Right right) {
  return fail(ErrorKind::kPermission, right == Right::kChange
                                          ? "only root may change what the daemon enforces"
                                          : "only root and members of group `namewall` may read this; any process may "
                                            "ask for its own workload: GET /v1/self");
}

}  // namespace

bool has_right(const PeerIdentity& identity, Right right, const AccessRules& rules) {
  if (right == Right::kOwn || identity.uid() == kRoot) return true;
  if (right == Right::kChange) return false;
  return identity.uid() == rules.own_uid || (rules.readers_gid && identity.is_member_of(*rules.readers_gid));
}

Result<Peer> admit(const PeerIdentity& identity, Right right, const AccessRules& rules, Host& host) {
  if (!has_right(identity, right, rules)) return refuse(right);
  Result<Peer> peer = identity.look();
  if (!peer || right == Right::kOwn) return peer;
  const SelfView self = host.self(*peer);
  if (self.confined) {
    return fail(ErrorKind::kPermission, "the process is inside workload `" + self.workload +
                                            "`: it may ask for its own workload only (GET /v1/self), also as root");
  }
  return peer;
}

std::string find_holder(const PeerIdentity& identity, const AccessRules& rules, Host& host) {
  const std::string user = "user " + std::to_string(identity.uid());
  const Result<Peer> peer = identity.look();
  if (!peer) return user;
  const SelfView self = host.self(*peer);
  // Of those that processes make themselves, each user may have many.
  if (self.workload.starts_with(kRestrictPrefix)) return user;
  if (self.confined) return "workload " + self.workload;
  return has_right(identity, Right::kRead, rules) ? "" : user;
}

}  // namespace namewall::agent
