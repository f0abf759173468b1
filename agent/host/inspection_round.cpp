#include "agent/host/inspection_round.h"

#include <poll.h>

#include <memory>
#include <optional>
#include <utility>

#include "agent/host/foreign_users.h"
#include "agent/host/host_clock.h"

namespace namewall::agent {
namespace {

constexpr Nanoseconds kDeadline = std::chrono::milliseconds(200);  // the loop stands still meanwhile

std::vector<std::string> holes_of(const Result<std::vector<ForeignUser>>& users) {
  if (!users) return {"its processes could not be inspected: " + users.error().message()};
  std::vector<std::string> holes;
  for (const ForeignUser& user : *users) {
    if (makes_partial(user)) holes.push_back(sentence_of(user));
  }
  return holes;
}

}  // namespace

std::vector<std::string> InspectionRound::inspect(const OpenedCgroup& opened, std::uint32_t caller) {
  if (!opened.is_populated()) return {};
  auto found = std::make_shared<std::optional<Result<std::vector<ForeignUser>>>>();
  const BootTime begin = boot_now();
  parts_.helper.inspect(opened.fd.get(), caller, begin,
                        [found](Result<std::vector<ForeignUser>> users) { *found = std::move(users); });
  while (!*found && boot_now() - begin < kDeadline) {
    pollfd waiting{parts_.helper.fd(), POLLIN, 0};
    if (::poll(&waiting, 1, 50) > 0) parts_.helper.read_answers();
    parts_.helper.expire(boot_now());
  }
  if (!*found) return {"its processes could not be inspected within 200 ms: try again"};
  return holes_of(**found);
}

void InspectionRound::tick(BootTime now) {
  if (!parts_.helper.is_alive()) return;
  if (round_.empty()) {
    std::erase_if(inspected_, [&](const auto& entry) { return parts_.registry.find_by_id(entry.first) == nullptr; });
    std::as_const(parts_.registry).each([&](const Workload& workload) {
      const auto last = inspected_.find(workload.cgroup_id);
      const bool is_due = last == inspected_.end() || now - last->second >= kInterval;
      if (is_due && workload.is_armed && !workload.cgroup.empty()) round_.push_back(workload.cgroup_id);
    });
  }
  std::size_t started = 0;
  for (std::size_t looks = 0; looks < kLooksPerTick && started < kPerTick && !round_.empty(); ++looks) {
    const std::uint64_t id = round_.front();
    round_.pop_front();
    const Workload* workload = parts_.registry.find_by_id(id);
    if (workload == nullptr) continue;
    inspected_[id] = now;
    const auto opened = open_cgroup(parts_.cgroups, workload->cgroup, id);
    if (!opened || !opened->is_populated()) continue;
    ++started;
    parts_.helper.inspect(opened->fd.get(), 0, now, [this, id](const Result<std::vector<ForeignUser>>& users) {
      Workload* inspected = parts_.registry.find_by_id(id);
      if (inspected != nullptr && users) inspected->partial = holes_of(users);
    });
  }
}

}  // namespace namewall::agent
