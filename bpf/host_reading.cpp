// HostEnforcer: what the kernel has learned, counted and reported; what is made ahead.
#include "bpf/host_state.h"

namespace namewall::bpf {
namespace {

// The first layer that knows the cgroup answers.
template <typename Answer, typename Question>
Result<Answer> ask(const std::vector<std::unique_ptr<Layer>>& layers, std::uint64_t cgroup_id, Question question) {
  for (const auto& layer : layers) {
    if (layer->find_config(cgroup_id)) return question(*layer);
  }
  return fail(ErrorKind::kNotFound, "the cgroup is not armed");
}

}  // namespace

Result<void> HostEnforcer::set_own_addresses(const std::vector<Address>& addresses) {
  const std::lock_guard lock(state_->mutex);
  state_->own_addresses = addresses;
  for (const auto& layer : state_->layers) {
    if (auto done = layer->set_own_addresses(addresses); !done) return done;
  }
  return {};
}

Result<std::vector<GrantRecord>> HostEnforcer::read_grants(std::uint64_t cgroup_id) const {
  const std::lock_guard lock(state_->mutex);
  return ask<std::vector<GrantRecord>>(state_->layers, cgroup_id,
                                       [&](const Layer& layer) { return layer.read_grants(cgroup_id); });
}

Reason HostEnforcer::teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) {
  LessonOrder order{cgroup_id, &lesson};
  teach_all({&order, 1}, now);
  return order.reason;
}

void HostEnforcer::teach_all(std::span<LessonOrder> orders, BootTime) {
  const std::lock_guard lock(state_->mutex);
  while (!orders.empty()) {
    // Those in front that are of one layer.
    const Layer* layer = state_->layer_of(orders.front().cgroup_id);
    std::size_t count = 1;
    while (layer != nullptr && count < orders.size() && state_->layer_of(orders[count].cgroup_id) == layer) ++count;
    const std::span<LessonOrder> part = orders.first(count);
    orders = orders.subspan(count);
    if (layer != nullptr) {
      layer->teach(part);
      continue;
    }
    part.front().reason = NW_REASON_NOT_ARMED;
    for (const auto& one : state_->layers) {
      one->teach(part);
      if (part.front().reason != NW_REASON_NOT_ARMED) break;
    }
  }
}

Result<Counters> HostEnforcer::read_counters(std::uint64_t cgroup_id) const {
  const std::lock_guard lock(state_->mutex);
  return ask<Counters>(state_->layers, cgroup_id, [&](const Layer& layer) { return layer.read_counters(cgroup_id); });
}

Result<std::uint32_t> HostEnforcer::reap(std::uint64_t cgroup_id, std::chrono::seconds expired_for) {
  const std::lock_guard lock(state_->mutex);
  return ask<std::uint32_t>(state_->layers, cgroup_id,
                            [&](const Layer& layer) { return layer.reap(cgroup_id, expired_for); });
}

std::vector<int> HostEnforcer::event_fds() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<int> fds;
  for (const auto& layer : state_->layers) fds.push_back(layer->events().fd());
  return fds;
}

Result<std::size_t> HostEnforcer::consume_events(std::size_t max, const std::function<void(const Event&)>& handle) {
  std::vector<EventRing*> rings;  // layers stay; `handle` may call this object
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& layer : state_->layers) rings.push_back(&layer->events());
  }
  std::size_t taken = 0;
  for (EventRing* ring : rings) {
    if (taken >= max) break;
    const auto consumed = ring->consume(max - taken, handle);
    if (!consumed) return tl::unexpected(consumed.error());
    taken += *consumed;
  }
  return taken;
}

Result<void> HostEnforcer::keep_house() {
  const std::lock_guard house_lock(state_->house);
  for (std::size_t number = 0;; ++number) {
    Layer* layer = nullptr;
    Layer::House house;
    {
      const std::lock_guard lock(state_->mutex);
      if (number >= state_->layers.size()) break;
      layer = state_->layers[number].get();
      house = layer->begin_keeping_house();
    }
    const auto done = layer->keep_house(house);
    const std::lock_guard lock(state_->mutex);
    if (auto ended = layer->end_keeping_house(std::move(house), done); !ended) return ended;
  }
  return state_->keep_spare_layer();
}

}  // namespace namewall::bpf
