// The keyboard of a program that redraws itself: keys without a line end, no echo. The terminal is as before when this
// ends, also by SIGINT, SIGTERM or SIGHUP, which end the waiting.
#pragma once

#include <termios.h>

#include <chrono>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

class KeyWatch {
 public:
  // `fd`: a terminal, not owned. Blocks the signals above for this thread as long as the object lives.
  static Result<KeyWatch> open(int fd);
  KeyWatch(KeyWatch&& other) noexcept;
  KeyWatch& operator=(KeyWatch&&) = delete;
  ~KeyWatch();

  // Waits that long. False: somebody wants to end (q, Q, a signal, the end of input).
  bool wait(std::chrono::milliseconds time);

 private:
  KeyWatch() = default;
  int fd_ = -1;
  FileDescriptor signals_;
  termios before_{};
};

}  // namespace namewall::agent
