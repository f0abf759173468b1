#include "agent/event_sink.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <utility>

#include "agent/signal_free_write.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr int kFirstFreeDescriptor = 3;

std::optional<int> parse_descriptor(std::string_view text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

// A terminal, pipe or FIFO is opened anew through /proc: O_NONBLOCK on the inherited one would hold for every process
// that shares it. nullopt: it cannot be (a socket, a descriptor whose file is not ours to open): see write().
std::optional<FileDescriptor> reopen_nonblocking(int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const int own = ::open(path.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (own < 0) return std::nullopt;
  return FileDescriptor(own);
}

}  // namespace

Result<EventSink> EventSink::open(const std::string& target) {
  if (target.starts_with("fd:")) {
    const auto number = parse_descriptor(std::string_view(target).substr(3));
    if (!number)
      return fail(ErrorKind::kInvalid, "--events " + escape_for_display(target) + ": write fd:N with a number N");
    if (*number < kFirstFreeDescriptor) {
      return fail(ErrorKind::kInvalid,
                  "--events " + target + ": 0, 1 and 2 belong to the command; open another, as in 3>events.jsonl");
    }
    const int flags = fcntl(*number, F_GETFL);
    if (flags < 0) return fail(ErrorKind::kInvalid, "--events " + target + ": no such open descriptor");
    if ((flags & O_ACCMODE) == O_RDONLY)
      return fail(ErrorKind::kInvalid, "--events " + target + ": open for reading only");
    struct stat status {};
    if (fstat(*number, &status) != 0) return fail_errno(errno, "--events " + target);
    if (S_ISSOCK(status.st_mode) || S_ISREG(status.st_mode)) {
      if (fcntl(*number, F_SETFD, FD_CLOEXEC) != 0) return fail_errno(errno, "--events " + target);
      return EventSink(FileDescriptor(*number), S_ISSOCK(status.st_mode));
    }
    auto own = reopen_nonblocking(*number);
    if (!own) return fail_errno(errno, "--events " + target + ": cannot be written to without waiting");
    ::close(*number);  // CMD must not inherit it
    return EventSink(std::move(*own), false);
  }
  // O_NONBLOCK: a FIFO without a reader is an error (ENXIO), not a wait.
  FileDescriptor fd(::open(target.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644));
  if (!fd) {
    if (errno == ENXIO)
      return fail(ErrorKind::kConflict, "--events " + escape_for_display(target) + ": nobody reads this FIFO", ENXIO);
    return fail_errno(errno, "cannot open the events file " + escape_for_display(target));
  }
  return EventSink(std::move(fd), false);
}

bool EventSink::flush() {
  while (!waiting_.empty()) {
    const ssize_t written = is_socket_
                                ? ::send(fd_.get(), waiting_.data(), waiting_.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                                : write_without_signals(fd_.get(), waiting_);
    if (written <= 0) return false;
    waiting_.erase(0, static_cast<std::size_t>(written));
  }
  return true;
}

void EventSink::write(std::string line) {
  if (!flush()) {
    ++lost_;
    return;
  }
  line += '\n';
  const std::size_t length = line.size();
  waiting_ = std::move(line);
  if (!flush() && waiting_.size() == length) {
    waiting_.clear();  // nothing of it went out
    ++lost_;
  }
}

void EventSink::finish() {
  if (flush()) return;
  waiting_.clear();
  ++lost_;
}

}  // namespace namewall::agent
