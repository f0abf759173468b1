#include "agent/control/event_stream.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "agent/control/json_text.h"
#include "agent/host/host_json.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kBatch = 64;

}  // namespace

EventStream::EventStream(Host& host, EventFilter filter, bool follow, std::size_t bound)
    : host_(host), filter_(std::move(filter)), follow_(follow), bound_(bound), past_end_(host.newest_event()) {}

void EventStream::fetch_past() {
  for (EventView& event : host_.events(filter_, kBatch)) {
    if (event.sequence > past_end_) break;
    filter_.since_sequence = event.sequence;
    waiting_.push_back(std::move(event));
  }
  if (!waiting_.empty()) return;
  in_past_ = false;
  filter_.since_sequence = std::max(filter_.since_sequence, past_end_);
  filter_.since_s = -1;
  if (follow_) fetch_new();
}

void EventStream::miss(std::uint64_t count, std::uint64_t newest) {
  missed_ += count;
  missed_sequence_ = newest;
}

bool EventStream::take_new() {
  if (!in_past_) fetch_new();
  return closed_ || !waiting_.empty() || missed_ > 0;
}

void EventStream::fetch_new() {
  for (std::size_t taken = 0; taken < kMaxTaken; taken += kBatch) {
    std::vector<EventView> batch = host_.events(filter_, kBatch);
    for (EventView& event : batch) {
      filter_.since_sequence = event.sequence;
      if (waiting_.size() < bound_ && missed_ == 0) {
        waiting_.push_back(std::move(event));
      } else {
        miss(1, filter_.since_sequence);
      }
    }
    if (batch.size() < kBatch) return;
  }
  // Nobody looks which of those passed over the filter would have kept: the count is an upper bound.
  const std::uint64_t newest = host_.newest_event();
  if (newest <= filter_.since_sequence) return;
  miss(newest - filter_.since_sequence, newest);
  filter_.since_sequence = newest;
}

BodySource::State EventStream::next(std::string& piece) {
  if (closed_) return State::kEnd;
  if (in_past_ && waiting_.empty()) fetch_past();
  if (waiting_.empty() && missed_ == 0) return follow_ ? State::kWait : State::kEnd;
  EventView event;
  if (waiting_.empty()) {
    event.sequence = missed_sequence_;
    event.kind = "notice";
    event.reason = "missed";
    event.sentence = "this reader took events more slowly than they came";
    event.left_out = std::exchange(missed_, 0);
  } else {
    event = std::move(waiting_.front());
    waiting_.pop_front();
  }
  piece += json_text(event);
  piece += '\n';
  return State::kMore;
}

}  // namespace namewall::agent
