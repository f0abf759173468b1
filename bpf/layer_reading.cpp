// Layer: what the kernel has learned and counted, what it is taught, and the host's own addresses.
#include <bpf/bpf.h>
#include <time.h>

#include <algorithm>
#include <array>

#include "bpf/layer.h"
#include "bpf/map_access.h"
#include "bpf/rule_entries.h"

namespace namewall::bpf {
namespace {

tl::unexpected<Error> not_armed() { return fail(ErrorKind::kNotFound, "the cgroup is not armed"); }

}  // namespace

Result<void> Layer::set_own_addresses(const std::vector<Address>& addresses) {
  const int fd = objects_.map("own_addresses");
  struct Key {
    __u32 words[4];
  };
  std::vector<Key> added, removed;
  for (const Address& address : addresses) copy_address(address, added.emplace_back().words);
  for (const Address& address : own_addresses_) {
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      copy_address(address, removed.emplace_back().words);
    }
  }
  // Added first: an address is never without its mark while it moves.
  if (auto done = update_all(fd, "the host's addresses", added, std::vector<std::uint8_t>(added.size(), 1)); !done)
    return done;
  if (auto done = delete_all(fd, "the host's addresses", removed); !done) return done;
  own_addresses_ = addresses;
  return {};
}

Result<std::vector<GrantRecord>> Layer::read_grants(std::uint64_t cgroup_id) const {
  const auto config = find_config(cgroup_id);
  if (!config) return not_armed();
  const WorkloadTables* tables = slots_->tables(config->slot);
  if (tables == nullptr) return fail(ErrorKind::kNotFound, "the pins of the workload's tables were removed");
  const ArmedWorkload* judge = find(cgroup_id);
  if (judge == nullptr) judge = find(config->template_id);
  return read_grant_records(*tables, *config, judge == nullptr ? nullptr : judge->image.get());
}

Result<Counters> Layer::read_counters(std::uint64_t cgroup_id) const {
  const auto config = find_config(cgroup_id);
  if (!config) return not_armed();
  nw_stats stats{};
  if (const int error = bpf_map_lookup_elem(objects_.map("stats"), &config->slot, &stats); error < 0)
    return fail_errno(-error, "cannot read the counters");
  return to_counters(stats);
}

Result<std::uint32_t> Layer::reap(std::uint64_t cgroup_id, std::chrono::seconds expired_for) const {
  const auto config = find_config(cgroup_id);
  if (!config) return not_armed();
  constexpr std::uint32_t kNamesPerCall = 128;
  std::uint32_t removed = 0;
  for (;;) {
    std::array<std::uint8_t, 64> packet{};  // what a packet program needs to run at all
    __sk_buff context{};
    context.mark = config->slot;
    context.priority = kNamesPerCall;
    context.cb[0] = static_cast<std::uint32_t>(expired_for.count());
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_size_in = packet.size(), .ctx_in = &context,
                .ctx_size_in = sizeof(context));
    if (const int error = bpf_prog_test_run_opts(objects_.program("namewall_reap"), &options); error < 0)
      return fail_errno(-error, "cannot run the reaper");
    removed += options.retval;
    if (options.retval < kNamesPerCall) return removed;
  }
}

Result<std::size_t> Layer::add_grants(std::uint64_t cgroup_id, const std::vector<Grant>& grants) const {
  const ArmedWorkload* armed = find(cgroup_id);
  const WorkloadTables* tables = armed == nullptr ? nullptr : slots_->tables(armed->config.slot);
  if (tables == nullptr) return not_armed();
  return tables->add(grants, armed->config);
}

void Layer::teach(std::span<LessonOrder> orders) const {
  LessonRunner runner(objects_.program("namewall_teach"));
  for (LessonOrder& order : orders) add_to(runner, order);
  runner.run();
}

void Layer::add_to(LessonRunner& runner, LessonOrder& order) const {
  const Lesson& lesson = *order.lesson;
  const auto workload = find_config(order.cgroup_id);
  const ArmedWorkload* judge = find(order.cgroup_id);
  if (judge == nullptr && workload) judge = find(workload->template_id);
  if (!workload || judge == nullptr || workload->mode == NW_MODE_DENY) {
    order.reason = NW_REASON_NOT_ARMED;
    return;
  }
  NameDecision decision = lesson.decision;
  std::uint32_t generation = judge->config.generation;
  if (lesson.image_hash != 0 && lesson.image_hash != judge->config.image_hash) {
    if (judge->image == nullptr) {
      generation = 0;
    } else {
      decision = decide_name(*judge->image, lesson.name);
      if (!decision.may_ask() && judge->image->mode == Mode::kEnforce) {
        order.reason = NW_REASON_ANSWER_WITHDRAWN;
        return;
      }
    }
  }
  runner.add(*workload, lesson, decision, generation, order.reason);
}

std::uint32_t Layer::count_live_grants() const {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  const auto nanoseconds =
      static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
  std::set<std::uint32_t> slots;
  for (const auto& [id, armed] : armed_) slots.insert(armed.config.slot);
  for (const nw_workload& row : children_.list()) slots.insert(row.slot);
  std::uint32_t count = 0;
  for (const std::uint32_t slot : slots) {
    if (const WorkloadTables* tables = slots_->tables(slot)) count += tables->count_live(nanoseconds).value_or(0);
  }
  return count;
}

}  // namespace namewall::bpf
