#include "agent/client/key_watch.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

namespace namewall::agent {
namespace {

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

Result<KeyWatch> KeyWatch::open(int fd) {
  KeyWatch watch;
  if (::tcgetattr(fd, &watch.before_) != 0) return fail_errno(errno, "cannot read the terminal's settings");
  const sigset_t set = ending_signals();
  watch.signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!watch.signals_) return fail_errno(errno, "cannot wait for signals");
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  termios raw = watch.before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  watch.fd_ = fd;
  if (::tcsetattr(fd, TCSANOW, &raw) != 0) return fail_errno(errno, "cannot change the terminal's settings");
  return watch;
}

KeyWatch::KeyWatch(KeyWatch&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), signals_(std::move(other.signals_)), before_(other.before_) {}

KeyWatch::~KeyWatch() {
  if (fd_ < 0) return;
  (void)::tcsetattr(fd_, TCSANOW, &before_);
  const sigset_t set = ending_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool KeyWatch::wait(std::chrono::milliseconds time) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + time;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    pollfd waits[] = {{fd_, POLLIN, 0}, {signals_.get(), POLLIN, 0}};
    const int ready = ::poll(waits, 2, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready == 0) return true;
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return false;
    if (waits[1].revents != 0) {
      signalfd_siginfo taken{};
      (void)!::read(signals_.get(), &taken, sizeof taken);  // else it would end the process when it is unblocked
      return false;
    }
    char key = 0;
    if (::read(fd_, &key, 1) != 1 || key == 'q' || key == 'Q') return false;
  }
}

}  // namespace namewall::agent
