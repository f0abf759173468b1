// Moves one process into a cgroup by its number, although the number may be another's by the time it is written.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/result.h"

namespace namewall::agent {

// What the move does and asks; the kernel's in restricted_cgroup.cpp, a script in tests.
class MoveSteps {
 public:
  virtual ~MoveSteps() = default;
  virtual bool is_alive() = 0;                       // the process that is meant, by its pidfd
  virtual bool is_where_expected() = 0;              // what has its number now is in the cgroup that it is to leave
  virtual bool is_inside() = 0;                      // in the new one
  virtual Result<void> enter() = 0;                  // whatever has the number now
  virtual std::vector<std::uint32_t> members() = 0;  // of the new cgroup
  virtual bool send_back(std::uint32_t pid) = 0;     // to the cgroup of its parent; false: that cannot be told
};

// The process is in the new cgroup then. kNotFound: it has ended; whoever got its number meanwhile is where its parent
// is. kConflict: somebody else moves it, too.
Result<void> move_process(MoveSteps& steps);

}  // namespace namewall::agent
