#include "agent/host/process_move.h"

namespace namewall::agent {
namespace {

// A stranger may fork before it is sent back.
constexpr int kMaxRounds = 64;

tl::unexpected<Error> ended() { return fail(ErrorKind::kNotFound, "the process has ended"); }

void send_strangers_back(MoveSteps& steps) {
  for (int round = 0; round < kMaxRounds; ++round) {
    bool has_moved = false;
    for (const std::uint32_t pid : steps.members()) has_moved = steps.send_back(pid) || has_moved;
    if (!has_moved) return;
  }
}

}  // namespace

Result<void> move_process(MoveSteps& steps) {
  if (!steps.is_alive()) return ended();
  const bool was_there = steps.is_where_expected();
  // Asked after: what was read of the number is of this process only if it still lives.
  if (!steps.is_alive()) return ended();
  if (!was_there) return fail(ErrorKind::kConflict, "the process is no longer in the cgroup that it asked from");
  const Result<void> entered = steps.enter();
  if (steps.is_alive()) {
    if (!entered) return entered;
    if (steps.is_inside()) return {};
    return fail(ErrorKind::kConflict, "somebody else has moved the process meanwhile");
  }
  send_strangers_back(steps);
  return ended();
}

}  // namespace namewall::agent
