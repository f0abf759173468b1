// Where `--events` writes. Never waits: a line that the file or pipe does not take at once is lost and counted, and a
// line is written whole or, when the sink took only part of it, finished before the next one begins.
#pragma once

#include <cstdint>
#include <string>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

class EventSink {
 public:
  // "fd:N": an open, writable descriptor, N >= 3, taken over: close-on-exec from now on, so that CMD does not inherit
  // it. Anything else is a file name, made if need be (mode 0644 less the umask), appended to. The error is a sentence.
  static Result<EventSink> open(const std::string& target);

  void write(std::string line);  // without the line end
  std::uint64_t lost() const { return lost_; }
  // What is still waiting, as far as the sink takes it; a line that stays unfinished counts as lost.
  void finish();

 private:
  explicit EventSink(FileDescriptor fd, bool is_socket) : fd_(std::move(fd)), is_socket_(is_socket) {}
  bool flush();  // true: nothing is waiting

  FileDescriptor fd_;
  bool is_socket_ = false;
  std::string waiting_;  // the rest of a line that was begun
  std::uint64_t lost_ = 0;
};

}  // namespace namewall::agent
