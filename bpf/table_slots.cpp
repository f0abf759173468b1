#include "bpf/table_slots.h"

#include <algorithm>

#include "bpf/map_access.h"

namespace namewall::bpf {
namespace {

constexpr std::size_t kRecentSizes = 4;

}  // namespace

TableSlots::TableSlots(Maps maps, std::uint32_t capacity, const PinDirectory* pins, std::string folder)
    : maps_(maps), pins_(pins), folder_(std::move(folder)), bare_(capacity) {
  for (std::uint32_t slot = 0; slot < capacity; ++slot) bare_[capacity - 1 - slot] = slot;
}

std::string TableSlots::pin_of(std::uint32_t slot, const char* what) const {
  return folder_ + "/" + std::to_string(slot) + "-" + what;
}

const WorkloadTables* TableSlots::tables(std::uint32_t slot) const {
  const auto found = tables_.find(slot);
  return found == tables_.end() ? nullptr : &found->second;
}

std::uint32_t TableSlots::spare_count(std::uint32_t max_addresses) const {
  const auto found = spare_.find(bucket_count_for(max_addresses));
  return found == spare_.end() ? 0 : static_cast<std::uint32_t>(found->second.size());
}

void TableSlots::remember_size(std::uint32_t max_addresses) {
  const auto same = [&](std::uint32_t size) { return bucket_count_for(size) == bucket_count_for(max_addresses); };
  recent_sizes_.erase(std::remove_if(recent_sizes_.begin(), recent_sizes_.end(), same), recent_sizes_.end());
  recent_sizes_.insert(recent_sizes_.begin(), max_addresses);
  if (recent_sizes_.size() > kRecentSizes) recent_sizes_.pop_back();
}

std::vector<Result<std::uint32_t>> TableSlots::take(const std::vector<std::uint32_t>& max_addresses) {
  std::map<std::uint32_t, std::uint32_t> needed;  // by bucket count
  for (const std::uint32_t size : max_addresses) {
    remember_size(size);
    ++needed[bucket_count_for(size)];
  }
  std::map<std::uint32_t, std::uint32_t> missing;
  for (const std::uint32_t size : max_addresses) {
    const std::uint32_t have = spare_count(size), all = needed[bucket_count_for(size)];
    if (all > have) missing[size] = all - have;
    needed[bucket_count_for(size)] = 0;
  }
  Result<void> done;
  if (!missing.empty()) {
    std::size_t count = 0;
    for (const auto& [size, slots] : missing) count += slots;
    Work work;
    if (count > bare_.size()) {  // used slots cost a wait of their own
      std::swap(work.clear, used_);
      done = carry_out(work);
      finish(std::move(work), done.has_value());
    }
    if (done) {
      work = plan(missing, false);
      done = carry_out(work);
      finish(std::move(work), done.has_value());
    }
  }
  std::vector<Result<std::uint32_t>> slots;
  for (const std::uint32_t size : max_addresses) {
    auto& spare = spare_[bucket_count_for(size)];
    if (!spare.empty()) {
      slots.emplace_back(spare.back());
      spare.pop_back();
    } else if (!done) {
      slots.emplace_back(tl::unexpected(done.error()));
    } else {
      slots.emplace_back(fail(ErrorKind::kLimit, "no room for another workload"));
    }
  }
  return slots;
}

void TableSlots::give_back(std::uint32_t slot) { used_.push_back(slot); }

TableSlots::Work TableSlots::plan(const std::map<std::uint32_t, std::uint32_t>& wanted, bool clear_used) {
  Work work;
  if (clear_used) std::swap(work.clear, used_);
  for (const auto& [size, count] : wanted) {
    for (std::uint32_t i = 0; i < count && !bare_.empty(); ++i) {
      work.make.push_back({bare_.back(), size, {}});
      bare_.pop_back();
    }
  }
  return work;
}

Result<void> TableSlots::make_tables(Work::Item& item) const {
  auto tables = WorkloadTables::create(item.max_addresses);
  if (!tables) return tl::unexpected(tables.error());
  item.tables = std::move(*tables);
  if (pins_ != nullptr) {
    if (auto done = pins_->pin(item.tables.grants_fd(), pin_of(item.slot, "grants")); !done) return done;
    if (auto done = pins_->pin(item.tables.names_fd(), pin_of(item.slot, "names")); !done) return done;
  }
  const nw_stats no_stats{};
  if (const int error = bpf_map_update_elem(maps_.stats, &item.slot, &no_stats, BPF_ANY); error < 0)
    return fail_errno(-error, "cannot clear the counters");
  return {};
}

Result<void> TableSlots::publish(const std::vector<Work::Item>& items) const {
  std::vector<std::uint32_t> slots;
  std::vector<int> grants, names;
  for (const Work::Item& item : items) {
    slots.push_back(item.slot);
    grants.push_back(item.tables.grants_fd());
    names.push_back(item.tables.names_fd());
  }
  return publish(slots, grants, names);
}

// All at once: the kernel waits for RCU once for each batch.
Result<void> TableSlots::publish(const std::vector<std::uint32_t>& slots, const std::vector<int>& grants,
                                 const std::vector<int>& names) const {
  if (auto done = update_all(maps_.grants, "the grants", slots, grants); !done) return done;
  return update_all(maps_.names, "the names", slots, names);
}

Result<void> TableSlots::clear(const std::vector<std::uint32_t>& slots) const {
  // Entries of a map of maps can be replaced in batches, but only deleted one by one, with a wait for each.
  const auto nobodys = WorkloadTables::create(1);
  if (!nobodys) return tl::unexpected(nobodys.error());
  const std::vector<int> grants(slots.size(), nobodys->grants_fd()), names(slots.size(), nobodys->names_fd());
  if (auto done = publish(slots, grants, names); !done) return done;
  if (pins_ == nullptr) return {};
  for (const std::uint32_t slot : slots) {
    for (const char* what : {"grants", "names"}) {
      if (auto done = pins_->remove(pin_of(slot, what)); !done) return done;
    }
  }
  return {};
}

Result<void> TableSlots::carry_out(Work& work) const {
  if (!work.clear.empty()) {
    if (auto done = clear(work.clear); !done) return done;
  }
  for (Work::Item& item : work.make) {
    if (auto done = make_tables(item); !done) return done;
  }
  return work.make.empty() ? Result<void>{} : publish(work.make);
}

void TableSlots::finish(Work work, bool is_done) {
  if (!is_done) {  // whatever was reached, these are cleared before anybody gets them
    used_.insert(used_.end(), work.clear.begin(), work.clear.end());
    for (const Work::Item& item : work.make) used_.push_back(item.slot);
    return;
  }
  for (const std::uint32_t slot : work.clear) {
    tables_.erase(slot);
    bare_.push_back(slot);
  }
  for (Work::Item& item : work.make) {
    spare_[item.tables.bucket_count()].push_back(item.slot);
    tables_.insert_or_assign(item.slot, std::move(item.tables));
  }
}

Result<void> TableSlots::adopt(const std::set<std::uint32_t>& in_use) {
  std::set<std::uint32_t> pinned;
  for (const std::string& name : pins_->list(folder_)) {
    pinned.insert(static_cast<std::uint32_t>(std::strtoul(name.c_str(), nullptr, 10)));
  }
  const auto take_slot = [&](std::uint32_t slot) { return in_use.contains(slot) || pinned.contains(slot); };
  bare_.erase(std::remove_if(bare_.begin(), bare_.end(), take_slot), bare_.end());
  for (const std::uint32_t slot : pinned) {
    if (!in_use.contains(slot)) used_.push_back(slot);
  }
  for (const std::uint32_t slot : in_use) {
    auto grants = pins_->open_pin(pin_of(slot, "grants"));
    auto names = pins_->open_pin(pin_of(slot, "names"));
    if (!grants || !names) {
      const Error& error = grants ? names.error() : grants.error();
      if (error.kind == ErrorKind::kNotFound) continue;  // the programs still have them: only reading is lost
      return tl::unexpected(error);
    }
    auto tables = WorkloadTables::adopt(std::move(*grants), std::move(*names));
    if (!tables) return tl::unexpected(tables.error());
    remember_size(tables->max_addresses());
    tables_.insert_or_assign(slot, std::move(*tables));
  }
  return {};
}

Result<void> TableSlots::pin_everything() const {
  for (const auto& [slot, tables] : tables_) {
    if (auto done = mend_pins(slot); !done) return tl::unexpected(done.error());
  }
  return {};
}

Result<std::size_t> TableSlots::mend_next_pins(std::size_t count) {
  std::size_t mended = 0;
  for (count = std::min(count, tables_.size()); count > 0; --count) {
    auto at = tables_.lower_bound(next_to_mend_);
    if (at == tables_.end()) at = tables_.begin();
    next_to_mend_ = at->first + 1;
    const auto done = mend_pins(at->first);
    if (!done) return tl::unexpected(done.error());
    if (*done) ++mended;
  }
  return mended;
}

Result<bool> TableSlots::mend_pins(std::uint32_t slot) const {
  const WorkloadTables* found = tables(slot);
  if (pins_ == nullptr || found == nullptr) return false;
  bool is_mended = false;
  for (const auto& [what, fd] : {std::pair("grants", found->grants_fd()), std::pair("names", found->names_fd())}) {
    if (pins_->is_intact(pin_of(slot, what))) continue;
    if (auto done = pins_->pin(fd, pin_of(slot, what)); !done) return tl::unexpected(done.error());
    is_mended = true;
  }
  return is_mended;
}

}  // namespace namewall::bpf
