// Layer: tables made ahead, tables and rules that nobody needs any more.
#include <bpf/bpf.h>

#include <algorithm>

#include "bpf/layer.h"

namespace namewall::bpf {
namespace {

constexpr std::uint32_t kShareOfOlderSizes = 4;  // of the spare tables, for each size that is not the most recent

}  // namespace

std::uint32_t Layer::missing_offers() const {
  if (child_addresses_ == 0) return 0;
  const auto offered = static_cast<std::uint32_t>(children_.offered().size());
  return spare_tables_ > offered ? spare_tables_ - offered : 0;
}

void Layer::note_taken_offers() {
  if (child_addresses_ == 0 || !children_.has_taken()) return;
  for (const nw_workload& row : children_.list()) children_.note_taken(row.slot);
}

Result<void> Layer::offer_tables() {
  const std::uint32_t missing = missing_offers();
  if (missing == 0) return {};
  for (const auto& slot : slots_->take(std::vector<std::uint32_t>(missing, child_addresses_))) {
    if (!slot) return tl::unexpected(slot.error());
    nw_workload identity{};
    auto done = identify(*slot, identity);
    if (done) {
      done = children_.offer({.slot = *slot,
                              .workload_id = identity.workload_id,
                              .bucket_count = identity.bucket_count,
                              .token = identity.token,
                              .seed = identity.seed});
    }
    if (!done) {
      slots_->give_back(*slot);
      return done;
    }
  }
  (void)children_.has_taken();
  return {};
}

void Layer::clear_departed() {
  const auto is_over = [&](const Departed& departed) {
    nw_workload config{};
    if (bpf_map_lookup_elem(objects_.map("workloads"), &departed.cgroup_id, &config) == 0) return false;
    slots_->give_back(departed.slot);
    rules_->release(departed.policy_id);
    return true;
  };
  departed_.erase(std::remove_if(departed_.begin(), departed_.end(), is_over), departed_.end());
}

Layer::House Layer::begin_keeping_house() {
  clear_departed();
  note_taken_offers();
  std::map<std::uint32_t, std::uint32_t> wanted;
  std::uint32_t target = spare_tables_;
  for (const std::uint32_t size : slots_->recent_sizes()) {
    if (const std::uint32_t have = slots_->spare_count(size); have < target) wanted[size] = target - have;
    target = spare_tables_ / kShareOfOlderSizes;
  }
  if (const std::uint32_t missing = missing_offers(); missing > 0) wanted[child_addresses_] += missing;
  return {slots_->plan(wanted, true), rules_->plan_removal()};
}

Result<void> Layer::keep_house(House& house) const {
  if (!house.tables.is_empty()) {
    if (auto done = slots_->carry_out(house.tables); !done) return done;
  }
  return rules_->carry_out(house.rules);
}

Result<void> Layer::end_keeping_house(House house, const Result<void>& done) {
  slots_->finish(std::move(house.tables), done.has_value());
  if (!done) {
    rules_->put_back(std::move(house.rules));
    return done;
  }
  return offer_tables();
}

}  // namespace namewall::bpf
