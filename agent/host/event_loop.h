// Waits for descriptors and for tasks that are due: the one loop of the daemon.
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "policy/boot_time.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

class EventLoop {
 public:
  static Result<EventLoop> open();

  // `ready` is called in every turn in which `fd` is readable. Watching it again: no change.
  Result<void> watch(int fd, std::function<void()> ready);
  void unwatch(int fd);  // before it is closed
  // `task` is called about every `interval`; late turns are not made up for.
  void every(Nanoseconds interval, std::function<void(BootTime now)> task);

  // One turn: waits until something is ready or due, at most `longest`, and calls what is. Returns the time that was
  // not spent waiting.
  Result<Nanoseconds> turn(Nanoseconds longest);
  // What is ready in this turn became so after this: it may have waited while the turn before was busy.
  BootTime ready_since() const { return ready_since_; }

 private:
  struct Task {
    Nanoseconds interval;
    BootTime next;
    std::function<void(BootTime)> run;
  };
  EventLoop() = default;

  FileDescriptor poller_;
  std::unordered_map<int, std::function<void()>> watched_;
  std::vector<Task> tasks_;
  BootTime woken_, ready_since_;
};

}  // namespace namewall::agent
