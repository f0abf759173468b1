// Answers to refused questions (refusal_answer.h) in whatever network namespace they were asked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "agent/host/privileged_helper.h"
#include "agent/refusal_answer.h"

namespace namewall::agent {

class NetnsAnswers {
 public:
  using Clock = std::function<BootTime()>;

  // `own`: for the daemon's own namespace. `clock`: CLOCK_BOOTTIME, what the events' times are of. The helper must
  // outlive this.
  NetnsAnswers(PrivilegedHelper& helper, RefusalAnswerer own, Clock clock);
  NetnsAnswers(NetnsAnswers&&) noexcept;
  NetnsAnswers& operator=(NetnsAnswers&&) noexcept;
  ~NetnsAnswers();

  // Never blocks. In a namespace met for the first time the answer is sent when the helper has passed the sockets, if
  // the question is not too old by then. Events without a packet, without a pid, or too old are left.
  void answer(const Event& event, RefusalWords words);

  // Closes what has not been used for kIdle: an open socket keeps its network namespace, with its devices, alive after
  // its last process. To be called every second or so.
  void drop_idle();

  struct Figures {
    std::uint64_t sent = 0;
    std::uint64_t left = 0;     // not answerable, or too old
    std::uint64_t overrun = 0;  // too many waited
    std::uint64_t failed_opens = 0;
  };
  const Figures& figures() const;

  static constexpr std::size_t kMaxNamespaces = 64;  // the least recently used gives way
  static constexpr std::size_t kMaxWaitingEvents = 256;
  static constexpr Nanoseconds kIdle = std::chrono::seconds(5);
  // A namespace whose sockets could not be had is not tried again for so long.
  static constexpr Nanoseconds kRetryAfter = std::chrono::seconds(5);

 private:
  struct State;
  Clock clock_;
  std::shared_ptr<State> state_;
};

}  // namespace namewall::agent
