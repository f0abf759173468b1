// The helper's side of privileged_helper.h.
#pragma once

namespace namewall::agent {

// Serves requests until the other end of `channel` is closed, then exits. For a freshly forked, single-threaded process
// that is still root: keeps only the capabilities that the tasks need.
[[noreturn]] void run_privileged_helper(int channel);

}  // namespace namewall::agent
