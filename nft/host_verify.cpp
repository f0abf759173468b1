// HostEnforcer: whether the tables still hold what the model says.
#include <time.h>

#include <algorithm>
#include <unordered_set>

#include "nft/host_state.h"

namespace namewall::nft {
namespace {

constexpr std::chrono::seconds kClockSlack{2};  // the kernel counts timeouts in jiffies, and we a moment later

// What sets an element apart in the whole table.
std::string identity_of(const Element& element) {
  std::string text(1, static_cast<char>(element.set));
  text.append(element.key.begin(), element.key.end());
  text.append(element.key_end.begin(), element.key_end.end());
  return text;
}

struct Expected {
  Bytes data;
  std::optional<BootTime> deadline;  // of grants that end
  bool is_found = false;
};

std::string name_of(const NamespaceTable& table, bool is_own) {
  return "table inet " + table.name() +
         (is_own ? std::string() : " of network namespace " + std::to_string(table.cookie()));
}

}  // namespace

Result<DriftReport> HostEnforcer::State::compare(NamespaceTable& table, bool repair) {
  const BootTime now = boot_now();
  std::unordered_map<std::string, Expected> expected;
  for (const Element& element : all_fixed(table))
    expected.emplace(identity_of(element), Expected{element.data, {}, false});
  for (const auto& [id, workload] : workloads) {
    if (!is_member(table, *workload)) continue;
    for (const auto& [address, held] : workload->held) {
      for (const HeldPart& part : held.parts) {
        Expected wanted;
        if (part.part.deadline != kNever) wanted.deadline = part.part.deadline;
        expected.emplace(identity_of(to_element(id, address, part.part, now)), std::move(wanted));
      }
    }
  }

  DriftReport report;
  ElementChanges changes;
  for (const SetShape& shape : all_sets()) {
    if (shape.is_dynamic) continue;
    const auto listed = list_elements(
        table.socket(), shape.id,
        [&](const Element& element) {
          const auto at = expected.find(identity_of(element));
          const bool is_wanted = at != expected.end() && at->second.data == element.data &&
                                 element.timeout.has_value() == at->second.deadline.has_value() &&
                                 (!at->second.deadline ||
                                  now + element.expires.value_or(Nanoseconds{0}) <= *at->second.deadline + kClockSlack);
          if (is_wanted) {
            at->second.is_found = true;
            return;
          }
          if (at != expected.end() && at->second.is_found) return;  // listed twice
          ++report.unknown;
          changes.destroy.push_back(element);
          changes.destroy.back().comment.clear();
        },
        table.name());
    if (!listed) return tl::unexpected(listed.error());
  }
  const auto is_missing = [&](const Element& element) {
    const auto at = expected.find(identity_of(element));
    if (at == expected.end() || at->second.is_found) return false;
    return !at->second.deadline || *at->second.deadline > now + kClockSlack;
  };
  for (const Element& element : all_fixed(table)) {
    if (is_missing(element)) changes.add.push_back(element);
  }
  for (const auto& [id, workload] : workloads) {
    if (!is_member(table, *workload)) continue;
    for (const auto& [address, held] : workload->held) {
      for (const HeldPart& part : held.parts) {
        Element element = to_element(id, address, part.part, now);
        if (!is_missing(element)) continue;
        element.comment = workload->comment_of(address, part.part, now);
        changes.add.push_back(std::move(element));
      }
    }
  }
  report.missing = changes.add.size();
  if (!repair || changes.empty()) return report;
  // What is unknown goes first, as its key may be a wanted one's.
  ElementChanges before;
  before.destroy = std::move(changes.destroy);
  changes.destroy.clear();
  if (!before.empty()) {
    if (auto done = table.change(before, table.plan()); !done) return tl::unexpected(done.error());
  }
  if (auto done = table.change(changes, table.plan()); !done) return tl::unexpected(done.error());
  return report;
}

Result<DriftReport> HostEnforcer::find_drift(bool repair) {
  const std::lock_guard lock(state_->mutex);
  DriftReport whole;
  if (!repair) state_->inspects_anyway = true;  // a look is not to hide it from verify()
  for (const auto& table : state_->tables) {
    if (!table->is_made()) continue;
    const auto seen = table->inspect();
    if (!seen) return tl::unexpected(seen.error());
    whole.table.insert(whole.table.end(), seen->differences.begin(), seen->differences.end());
    if (seen->is_gone) {
      whole.missing += state_->all_fixed(*table).size();
      if (!repair) continue;
      if (auto done = state_->rebuild(*table); !done) return tl::unexpected(done.error());
      continue;
    }
    if (repair && !seen->differences.empty()) {
      if (auto done = state_->take_rules(*table); !done) return tl::unexpected(done.error());
    }
    const auto report = state_->compare(*table, repair);
    if (!report) return tl::unexpected(report.error());
    whole.unknown += report->unknown;
    whole.missing += report->missing;
  }
  return whole;
}

std::vector<std::string> HostEnforcer::find_table_changes() {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> found;
  for (const auto& table : state_->tables) {
    if (!table->is_made()) continue;
    const auto seen = table->inspect();
    if (!seen) continue;
    found.insert(found.end(), seen->differences.begin(), seen->differences.end());
    // It was only looked at: verify() would take it for seen.
    if (!seen->differences.empty()) state_->inspects_anyway = true;
  }
  return found;
}

void HostEnforcer::State::inspect(NamespaceTable& table) {
  const bool is_own = &table == tables.front().get();
  if (!table.is_made()) return;
  if (table.needs_rebuild) {
    const auto done = rebuild(table);
    noticed.push_back({name_of(table, is_own) + " had to be made again", done.has_value()});
    return;
  }
  const auto changed = table.has_foreign_changes();
  if (!changed) {
    noticed.push_back({"cannot look at " + name_of(table, is_own) + ": " + changed.error().message(), false});
    return;
  }
  if (!*changed && !inspects_anyway) return;
  const auto seen = table.inspect();
  if (!seen) {
    noticed.push_back({"cannot look at " + name_of(table, is_own) + ": " + seen.error().message(), false});
    return;
  }
  Result<void> done;
  if (seen->is_gone) {
    done = rebuild(table);
  } else if (!seen->differences.empty()) {
    done = take_rules(table);
  }
  const std::string where = is_own ? "" : " in network namespace " + std::to_string(table.cookie());
  for (const std::string& difference : seen->differences) noticed.push_back({difference + where, done.has_value()});
  // Nobody else can change the elements of an owned table.
  if (seen->is_gone || (table.is_owned() && !inspects_anyway)) return;
  const auto report = compare(table, true);
  if (!report) {
    noticed.push_back({"cannot compare " + name_of(table, is_own) + ": " + report.error().message(), false});
  } else if (report->unknown + report->missing > 0) {
    noticed.push_back({"in " + name_of(table, is_own) + " " + std::to_string(report->missing) +
                           " elements had been removed and " + std::to_string(report->unknown) + " added",
                       true});
  }
}

// The kernel's timeouts stand still while the machine sleeps; deadlines do not.
void HostEnforcer::State::notice_sleep() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  const Nanoseconds sleep = boot_now().since_boot - std::chrono::seconds(time.tv_sec) - Nanoseconds(time.tv_nsec);
  if (slept && sleep - *slept > kClockSlack / 2) inspects_anyway = true;
  slept = sleep;
}

std::vector<Damage> HostEnforcer::verify(std::size_t) {
  const std::lock_guard lock(state_->mutex);
  state_->renew_due(boot_now());
  state_->notice_sleep();
  for (const auto& table : state_->tables) state_->inspect(*table);
  state_->inspects_anyway = false;
  return std::exchange(state_->noticed, {});
}

std::vector<Damage> HostEnforcer::verify_policies(std::size_t) { return {}; }

std::optional<bool> HostEnforcer::seems_detached() {
  const std::lock_guard lock(state_->mutex);
  for (const auto& table : state_->tables) {
    if (!table->is_made()) continue;
    const auto changed = table->has_foreign_changes();
    if (!changed || *changed || table->needs_rebuild) return true;
  }
  return false;
}

// A table is looked at as a whole.
std::size_t HostEnforcer::begin_turn() {
  const std::lock_guard lock(state_->mutex);
  return 1;
}

Result<void> HostEnforcer::keep_house() {
  const std::lock_guard lock(state_->mutex);
  state_->renew_due(boot_now());
  return {};
}

}  // namespace namewall::nft
