// The events map of one layer, read.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "policy/event.h"
#include "policy/result.h"

namespace namewall::bpf {

class EventRing {
 public:
  // The descriptor is only read during the call.
  static Result<EventRing> open(int events_fd);
  EventRing(EventRing&&) noexcept;
  EventRing& operator=(EventRing&&) noexcept;
  ~EventRing();

  int fd() const;  // readable (epoll) when events wait
  // Calls `handle` for every waiting event, at most `max`.
  Result<std::size_t> consume(std::size_t max, const std::function<void(const Event&)>& handle);

 private:
  struct State;
  explicit EventRing(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::bpf
