#include "agent/control/connection_room.h"

namespace namewall::agent {

bool ConnectionRoom::enter(const std::string& holder) {
  if (holder.empty()) {
    if (privileged_ >= limits_.privileged_connections) return false;
    ++privileged_;
    return true;
  }
  if (unprivileged_ >= limits_.unprivileged_connections) return false;
  const auto held = by_holder_.find(holder);
  if (held != by_holder_.end() && held->second >= limits_.connections_per_user) return false;
  ++by_holder_[holder];
  ++unprivileged_;
  return true;
}

void ConnectionRoom::leave(const std::string& holder) {
  if (holder.empty()) {
    --privileged_;
    return;
  }
  --unprivileged_;
  const auto held = by_holder_.find(holder);
  if (--held->second == 0) by_holder_.erase(held);
}

}  // namespace namewall::agent
