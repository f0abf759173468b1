// Signals, stops and the end of the command, so that namewall in front of it is not noticed. Both are in one process
// group: what the terminal sends reaches both, and namewall leaves it to the command; what a process sends to namewall
// is passed on. When the command stops, namewall stops by the same signal; when it is continued, so is the command.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <optional>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

// How the command ended.
struct CommandEnd {
  bool by_signal = false;
  int code = 0;  // exit code, or the signal
};

class SignalRelay {
 public:
  // Blocks what is relayed and what must not end namewall before the command (terminal signals). One per process.
  static Result<SignalRelay> open();
  SignalRelay(SignalRelay&&) noexcept = default;

  // In the child, before exec: the mask and dispositions that namewall was started with.
  void restore_for_command() const;

  // Before the command starts: the signal that should have ended namewall meanwhile, from whoever it came.
  std::optional<int> take_early_end();

  int fd() const { return fd_.get(); }  // readable when handle() has something to do
  // Passes signals on to `pidfd`, stops with the command, and reaps it: its end, once. Blocks only while stopped.
  Result<std::optional<CommandEnd>> handle(int pidfd);

 private:
  SignalRelay() = default;
  Result<std::optional<CommandEnd>> reap(int pidfd);
  void stop_like(int signal_number, int pidfd);
  FileDescriptor fd_;
  sigset_t original_mask_{};
  struct sigaction original_pipe_ {};
  struct sigaction original_child_ {};
};

// Whether a signal that namewall received goes on to the command: `sender_code` is si_code. What the kernel sent (the
// terminal, a hangup) went to the whole process group already; an alarm did not.
bool is_passed_on(int signal_number, int sender_code);

// Ends this process as the command ended: exit, or the same signal without a core of its own.
[[noreturn]] void end_like(const CommandEnd& end);

}  // namespace namewall::agent
