#include "bpf/event_ring.h"

#include <bpf/libbpf.h>

#include <cerrno>

#include "bpf/event_decode.h"

namespace namewall::bpf {
namespace {

struct RingDeleter {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

}  // namespace

struct EventRing::State {
  std::unique_ptr<ring_buffer, RingDeleter> ring;
  // Of the consume() under way.
  const std::function<void(const Event&)>* handle = nullptr;
  std::size_t taken = 0, limit = 0;
};

EventRing::EventRing(std::unique_ptr<State> state) : state_(std::move(state)) {}
EventRing::EventRing(EventRing&&) noexcept = default;
EventRing& EventRing::operator=(EventRing&&) noexcept = default;
EventRing::~EventRing() = default;

Result<EventRing> EventRing::open(int events_fd) {
  auto state = std::make_unique<State>();
  const auto on_event = [](void* context, void* data, std::size_t size) {
    auto* self = static_cast<State*>(context);
    if (const auto event = decode_event(data, size); event && self->handle) (*self->handle)(*event);
    return ++self->taken < self->limit ? 0 : -ECANCELED;  // the record counts as read, the next ones wait
  };
  state->ring.reset(ring_buffer__new(events_fd, on_event, state.get(), nullptr));
  if (!state->ring) return fail_errno(errno, "cannot read the event ring");
  return EventRing(std::move(state));
}

int EventRing::fd() const { return ring_buffer__epoll_fd(state_->ring.get()); }

Result<std::size_t> EventRing::consume(std::size_t max, const std::function<void(const Event&)>& handle) {
  state_->handle = &handle;
  state_->taken = 0;
  state_->limit = max;
  const int error = ring_buffer__consume(state_->ring.get());
  state_->handle = nullptr;
  if (error < 0 && error != -ECANCELED) return fail_errno(-error, "cannot read the event ring");
  return state_->taken;
}

}  // namespace namewall::bpf
