// One reader of /v1/events. First the recent past, fetched from the host as fast as the reader takes it; then, if it
// follows, what is new: that waits here, at most `bound` events, and what comes beyond is counted and told by one line
// {"kind": "notice", "reason": "missed", "left_out": N} in its place.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "agent/control/reply.h"
#include "agent/host/host.h"

namespace namewall::agent {

class EventStream : public BodySource {
 public:
  // From filter.since_sequence on. `follow`: no end before close(). `host` outlives it.
  EventStream(Host& host, EventFilter filter, bool follow, std::size_t bound);

  // A burst of more than kMaxTaken at once is passed over and counted.
  bool take_new() override;
  bool is_endless() const override { return follow_; }
  void close() override { closed_ = true; }

  State next(std::string& piece) override;  // one line of JSON per event

  static constexpr std::size_t kMaxTaken = 1024;

 private:
  void fetch_past();
  void fetch_new();
  void miss(std::uint64_t count, std::uint64_t newest);

  Host& host_;
  EventFilter filter_;  // since_sequence: the newest that was taken
  bool follow_;
  std::size_t bound_;
  std::uint64_t past_end_;  // newest event of the past
  bool in_past_ = true;
  std::deque<EventView> waiting_;
  std::uint64_t missed_ = 0;           // after the last of waiting_
  std::uint64_t missed_sequence_ = 0;  // the newest of them
  bool closed_ = false;
};

}  // namespace namewall::agent
