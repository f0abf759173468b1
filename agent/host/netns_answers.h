// Answers to refused questions (refusal_answer.h) in whatever network namespace they were asked.
#pragma once

#include <cstdint>
#include <memory>

#include "agent/host/privileged_helper.h"
#include "agent/refusal_answer.h"

namespace namewall::agent {

class NetnsAnswers {
 public:
  // `own`: for the daemon's own namespace. The helper must outlive this.
  NetnsAnswers(PrivilegedHelper& helper, RefusalAnswerer own, std::uint64_t own_cookie);
  NetnsAnswers(NetnsAnswers&&) noexcept;
  NetnsAnswers& operator=(NetnsAnswers&&) noexcept;
  ~NetnsAnswers();

  // Never blocks. In a namespace met for the first time the answer is sent when the helper has passed the sockets, if
  // the question is not too old by then. Events without a packet, without a pid, or too old are left.
  void answer(const Event& event, RefuseWith refuse_with, BootTime now);

  struct Figures {
    std::uint64_t sent = 0;
    std::uint64_t left = 0;     // not answerable, or too old
    std::uint64_t overrun = 0;  // too many waited
    std::uint64_t failed_opens = 0;
  };
  const Figures& figures() const;

  static constexpr std::size_t kMaxNamespaces = 64;  // the least recently used gives way
  static constexpr std::size_t kMaxWaitingEvents = 256;
  // A namespace whose sockets could not be had is not tried again for so long.
  static constexpr Nanoseconds kRetryAfter = std::chrono::seconds(5);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace namewall::agent
