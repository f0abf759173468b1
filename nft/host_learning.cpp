// HostEnforcer: what workloads learn.
#include <algorithm>
#include <set>

#include "nft/host_state.h"
#include "policy/special_use.h"

namespace namewall::nft {
namespace {

struct AddressChange {
  WorkloadModel* workload;
  Address address;
  PartChanges parts;
};

void append_all(const std::vector<AddressChange>& changed, BootTime now, ElementChanges& changes) {
  for (const AddressChange& one : changed) append(*one.workload, one.address, one.parts, now, changes);
}

Reason learn(WorkloadModel& workload, const Lesson& lesson, BootTime now) {
  if (lesson.grants.size() > kMaxAnswerAddresses) return NW_REASON_TEACHING_FAILED;
  std::optional<Replacement> replaced;
  if (lesson.replaces_family != 0) replaced = Replacement{lesson.name, lesson.replaces_family};
  const LearnOutcome outcome = workload.grants.learn(grants_of(lesson, workload), now, replaced);
  return outcome == LearnOutcome::kGrantsFull ? NW_REASON_GRANTS_FULL : NW_REASON_NONE;
}

}  // namespace

Reason HostEnforcer::teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) {
  LessonOrder order{cgroup_id, &lesson};
  teach_all({&order, 1}, now);
  return order.reason;
}

void HostEnforcer::teach_all(std::span<LessonOrder> orders, BootTime now) {
  const std::lock_guard lock(state_->mutex);
  State& state = *state_;
  const BootTime kernel_now = boot_now();
  state.renew_due(kernel_now);

  // Several orders may speak of one address: what it becomes is sent once.
  std::vector<std::pair<WorkloadModel*, Address>> touched;
  for (LessonOrder& order : orders) {
    WorkloadModel* workload = state.find(order.cgroup_id);
    if (workload == nullptr || workload->is_template) {
      order.reason = NW_REASON_NOT_ARMED;
      continue;
    }
    if (!workload->image) {  // adopted: which port is whose is not known yet
      order.reason = NW_REASON_TEACHING_FAILED;
      continue;
    }
    std::vector<Address> addresses = addresses_of(*order.lesson, *workload, now);
    order.reason = learn(*workload, *order.lesson, now);
    if (order.reason != NW_REASON_NONE) continue;
    for (const Address& address : addresses) touched.emplace_back(workload, address);
  }
  if (orders.size() > 1) {
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  }
  std::vector<AddressChange> changed;
  changed.reserve(touched.size());
  for (const auto& [workload, address] : touched)
    changed.push_back({workload, address, workload->changes_at(address, kernel_now)});

  ElementChanges changes;
  append_all(changed, kernel_now, changes);
  if (changes.empty() || state.apply(changes)) {
    for (AddressChange& one : changed) state.settle(*one.workload, one.address, std::move(one.parts));
    return;
  }
  // One of them is the culprit: each order by itself.
  for (LessonOrder& order : orders) {
    if (order.reason != NW_REASON_NONE) continue;
    WorkloadModel& workload = *state.find(order.cgroup_id);
    std::vector<AddressChange> own;
    for (const Address& address : addresses_of(*order.lesson, workload, now))
      own.push_back({&workload, address, workload.changes_at(address, kernel_now)});
    ElementChanges alone;
    append_all(own, kernel_now, alone);
    if (!alone.empty() && !state.apply(alone)) {
      order.reason = NW_REASON_TEACHING_FAILED;
      state.inspects_anyway = true;  // the model has them: verify() tries again
      continue;
    }
    for (AddressChange& one : own) state.settle(workload, one.address, std::move(one.parts));
  }
}

void HostEnforcer::State::settle(WorkloadModel& workload, const Address& address, PartChanges changes) {
  workload.learned += changes.add.size();
  workload.refreshed += changes.renew.size() + changes.replace.size();
  if (changes.after.empty()) {
    workload.held.erase(address);
    return;
  }
  // At most max_addresses of them are live: a name with an address for each lookup does not fill the memory until the
  // next reap.
  constexpr std::size_t kSpare = 1024;
  if (workload.held.size() > 2 * std::size_t{workload.max_addresses} + kSpare)
    workload.forget_held({boot_now().since_boot - std::chrono::seconds(1)});
  HeldAddress& held = workload.held[address];
  held.parts = std::move(changes.after);
  if (changes.due == kNever || held.is_due) return;
  held.is_due = true;
  due.emplace(changes.due, std::pair(workload.cgroup_id, address));
}

void HostEnforcer::State::renew_due(BootTime now) {
  if (due.empty() || due.begin()->first > now) return;
  std::vector<AddressChange> changed;
  while (!due.empty() && due.begin()->first <= now) {
    const auto [cgroup_id, address] = due.begin()->second;
    due.erase(due.begin());
    WorkloadModel* workload = find(cgroup_id);
    const auto held = workload == nullptr ? decltype(workload->held.find(address)){} : workload->held.find(address);
    if (workload == nullptr || held == workload->held.end()) continue;
    held->second.is_due = false;
    changed.push_back({workload, address, workload->changes_at(address, now)});
  }
  ElementChanges changes;
  append_all(changed, now, changes);
  if (!changes.empty() && !apply(changes)) {
    inspects_anyway = true;
    return;
  }
  for (AddressChange& one : changed) settle(*one.workload, one.address, std::move(one.parts));
}

Result<std::vector<GrantRecord>> HostEnforcer::read_grants(std::uint64_t cgroup_id) const {
  const std::lock_guard lock(state_->mutex);
  const WorkloadModel* workload = state_->find(cgroup_id);
  if (workload == nullptr) return fail(ErrorKind::kNotFound, "the cgroup is not armed");
  std::vector<GrantRecord> records;
  const BootTime now = boot_now();
  for (GrantTable::Timed& known : workload->grants.all_timed()) {
    GrantRecord record{.grant = std::move(known.grant)};
    if (record.grant.is_live(now)) {
      record.learned = known.learned;
      if (known.renewed != known.learned) record.renewed = known.renewed;
    }
    record.current_ports = record.grant.note == NW_REASON_NONE ? record.grant.ports : 0;
    record.is_private =
        record.grant.note == NW_REASON_NONE
            ? classify_address(record.grant.address, !record.grant.address.is_v4()) == SpecialUse::kPrivate
            : record.grant.note == NW_REASON_PRIVATE_ANSWER;
    records.push_back(std::move(record));
  }
  return records;
}

// The model bounds itself (grant_table.h); this frees what the kernel has dropped long ago.
Result<std::uint32_t> HostEnforcer::reap(std::uint64_t cgroup_id, std::chrono::seconds expired_for) {
  const std::lock_guard lock(state_->mutex);
  WorkloadModel* workload = state_->find(cgroup_id);
  if (workload == nullptr) return fail(ErrorKind::kNotFound, "the cgroup is not armed");
  const auto reaped = workload->forget_held({boot_now().since_boot - expired_for});
  return static_cast<std::uint32_t>(reaped);
}

}  // namespace namewall::nft
