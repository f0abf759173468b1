#include "agent/signal_relay.h"

#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>

namespace namewall::agent {
namespace {

// SIGTTOU also so that a background namewall may write its report to a terminal with `stty tostop`.
constexpr std::array kRelayed = {SIGINT,  SIGQUIT,  SIGTERM, SIGHUP,  SIGUSR1, SIGUSR2,
                                 SIGCONT, SIGWINCH, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU};

sigset_t blocked_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal_number : kRelayed) sigaddset(&set, signal_number);
  sigaddset(&set, SIGCHLD);
  return set;
}

void send(int pidfd, int signal_number) { ::syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0); }

}  // namespace

bool is_passed_on(int signal_number, int sender_code) {
  // An alarm set before namewall was executed is the kernel's, and namewall's alone.
  if (sender_code > 0 && signal_number != SIGALRM) return false;
  return std::ranges::find(kRelayed, signal_number) != kRelayed.end();
}

Result<SignalRelay> SignalRelay::open() {
  SignalRelay relay;
  const sigset_t blocked = blocked_signals();
  if (::sigprocmask(SIG_BLOCK, &blocked, &relay.original_mask_) != 0) return fail_errno(errno, "cannot block signals");
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &relay.original_pipe_);  // a report's reader may go away
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &standard, &relay.original_child_);  // if it was ignored, ends would not be told
  relay.fd_.reset(::signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!relay.fd_) return fail_errno(errno, "cannot make a signalfd");
  return relay;
}

void SignalRelay::restore_for_command() const {
  ::sigaction(SIGPIPE, &original_pipe_, nullptr);
  ::sigaction(SIGCHLD, &original_child_, nullptr);
  ::sigprocmask(SIG_SETMASK, &original_mask_, nullptr);
}

void SignalRelay::stop_like(int signal_number, int pidfd) {
  // SIGCONT discards a pending stop signal and the other way round, so nothing stale is delivered here.
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  struct sigaction before {};
  ::sigaction(signal_number, &standard, &before);  // fails for SIGSTOP, which needs none
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal_number);
  sigset_t mask;
  ::sigprocmask(SIG_UNBLOCK, &only, &mask);
  ::raise(signal_number);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  if (signal_number != SIGSTOP) ::sigaction(signal_number, &before, nullptr);
  // Continued, perhaps alone ("kill -CONT" of namewall's pid): one SIGCONT for the command, not also the one received.
  sigset_t continued;
  sigemptyset(&continued);
  sigaddset(&continued, SIGCONT);
  const timespec at_once{};
  while (::sigtimedwait(&continued, nullptr, &at_once) == SIGCONT) {
  }
  send(pidfd, SIGCONT);
}

Result<std::optional<CommandEnd>> SignalRelay::reap(int pidfd) {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WSTOPPED | WNOHANG) != 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "cannot wait for the command");
    }
    if (info.si_pid == 0) return std::optional<CommandEnd>();
    if (info.si_code == CLD_EXITED) return std::optional(CommandEnd{false, info.si_status});
    if (info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED)
      return std::optional(CommandEnd{true, info.si_status});
    if (info.si_code == CLD_STOPPED) stop_like(info.si_status, pidfd);
  }
}

std::optional<int> SignalRelay::take_early_end() {
  signalfd_siginfo received{};
  while (::read(fd_.get(), &received, sizeof received) == sizeof received) {
    const int signal_number = static_cast<int>(received.ssi_signo);
    if (signal_number != SIGINT && signal_number != SIGTERM && signal_number != SIGHUP && signal_number != SIGQUIT)
      continue;
    struct sigaction action {
    };  // as inherited: nohup(1) ignores SIGHUP, and a blocked ignored signal still arrives here
    if (::sigaction(signal_number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) return signal_number;
  }
  return std::nullopt;
}

Result<std::optional<CommandEnd>> SignalRelay::handle(int pidfd) {
  signalfd_siginfo received{};
  while (::read(fd_.get(), &received, sizeof received) == sizeof received) {
    const int signal_number = static_cast<int>(received.ssi_signo);
    if (is_passed_on(signal_number, received.ssi_code)) send(pidfd, signal_number);
  }
  return reap(pidfd);
}

void end_like(const CommandEnd& end) {
  std::fflush(nullptr);
  if (!end.by_signal) ::_exit(end.code);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // the core is the command's, not ours
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(end.code, &standard, nullptr);
  sigset_t all;
  sigfillset(&all);
  sigdelset(&all, end.code);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::raise(end.code);
  ::_exit(128 + end.code);
}

}  // namespace namewall::agent
