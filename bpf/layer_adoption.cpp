// Layer: what an earlier process left, and what somebody else did to it.
#include <bpf/bpf.h>

#include <algorithm>
#include <cstring>

#include "bpf/layer.h"
#include "bpf/rule_entries.h"

namespace namewall::bpf {
namespace {

constexpr std::size_t kTablesEachTime = 32;  // about 0.1 ms

Result<std::uint32_t> entries_of(int map_fd) {
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (const int error = bpf_obj_get_info_by_fd(map_fd, &info, &size); error < 0)
    return fail_errno(-error, "cannot examine a BPF map");
  return info.max_entries;
}

// The keys of a cgroup storage map: the ids of the cgroups that have one.
std::vector<std::uint64_t> keys_of(int map_fd) {
  std::vector<std::uint64_t> keys;
  std::set<std::uint64_t> seen;
  std::uint64_t key = 0;
  for (const std::uint64_t* at = nullptr; bpf_map_get_next_key(map_fd, at, &key) == 0; at = &key) {
    if (seen.insert(key).second) keys.push_back(key);
  }
  return keys;
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

Result<std::unique_ptr<Layer>> Layer::open(const MapSizes& sizes, const PinDirectory& pins, std::string folder,
                                           std::uint32_t spare_tables, AskerTokens tokens) {
  auto objects = KernelObjects::open(sizes, pins, folder);
  if (!objects) return tl::unexpected(objects.error());
  if (auto done = pins.make_directory(folder + "/tables"); !done) return tl::unexpected(done.error());
  const auto slots = entries_of(objects->map("grants"));
  if (!slots) return tl::unexpected(slots.error());
  std::unique_ptr<Layer> layer(new Layer(tokens));
  layer->pins_ = &pins;
  layer->folder_ = std::move(folder);
  layer->spare_tables_ = std::min(spare_tables, *slots);
  auto done = layer->use(std::move(*objects), *slots);
  if (done) done = layer->adopt();
  if (!done) return tl::unexpected(done.error());
  return layer;
}

Result<void> Layer::adopt() {
  std::set<std::uint32_t> in_use;
  const int workloads = objects_.map("workloads"), guards = objects_.map("guards");
  for (const std::uint64_t id : keys_of(workloads)) {
    nw_workload config{};
    if (bpf_map_lookup_elem(workloads, &id, &config) < 0 || config.workload_id == 0) continue;
    armed_.insert_or_assign(id, ArmedWorkload{config, nullptr});
    rules_->adopt(config.policy_id);
    in_use.insert(config.slot);
    if ((config.flags & NW_FLAG_TEMPLATE) != 0) {
      child_addresses_ = std::max(child_addresses_, config.bucket_count * NW_SLOTS_PER_BUCKET * 2 / 3);
    }
  }
  // The queue before the rows: what the kernel takes in between is found in a row.
  if (auto done = children_.adopt_offers(); !done) return done;
  for (const std::uint32_t slot : children_.offered()) in_use.insert(slot);
  for (const nw_workload& row : children_.list()) {
    in_use.insert(row.slot);
    children_.note_taken(row.slot);
    if ((row.flags & NW_FLAG_OWN_POLICY) == 0) continue;
    armed_.insert_or_assign(row.cgroup_id, ArmedWorkload{row, nullptr});
    rules_->adopt(row.policy_id);
  }
  for (const std::uint64_t id : keys_of(guards)) {
    nw_guard guard{};
    if (bpf_map_lookup_elem(guards, &id, &guard) == 0 && guard.is_set != 0) guarded_.emplace(id, guard.level);
  }
  __u32 address[4];
  for (const __u32(*at)[4] = nullptr; bpf_map_get_next_key(objects_.map("own_addresses"), at, &address) == 0;
       at = &address) {
    own_addresses_.push_back(to_address(address));
  }
  // As their workloads are placed, these are listed again.
  const int deeper = objects_.map("deeper_workloads");
  for (std::uint64_t id = 0; bpf_map_get_next_key(deeper, nullptr, &id) == 0;) {
    if (const int error = bpf_map_delete_elem(deeper, &id); error < 0)
      return fail_errno(-error, "cannot forget the workloads of other layers");
  }
  for (auto& [id, armed] : armed_) {  // an earlier build gave no tokens
    nw_workload config = armed.config;
    config.token = tokens_.of(config.slot);
    if (config.token == armed.config.token) continue;
    if (auto done = change(armed, config); !done) return done;
  }
  rules_->sweep_unadopted();
  return slots_->adopt(in_use);
}

Result<Attachment::Restored> Layer::restore_programs(int cgroup_fd, std::uint64_t cgroup_id) const {
  Attachment::Restored restored;
  const ArmedWorkload* armed = find(cgroup_id);
  if (armed != nullptr && (armed->config.flags & NW_FLAG_CHILD) == 0) {
    auto done = attachment_->restore(cgroup_fd);
    if (!done) return done;
    restored = std::move(*done);
  }
  if (guarded_.contains(cgroup_id)) {
    const auto done = attachment_->restore_guard(cgroup_fd);
    if (!done) return done;
    restored.replaced.insert(restored.replaced.end(), done->replaced.begin(), done->replaced.end());
    restored.attached.insert(restored.attached.end(), done->attached.begin(), done->attached.end());
    restored.longest = std::max(restored.longest, done->longest);
  }
  return restored;
}

Result<void> Layer::drop_former_programs() {
  if (auto done = objects_.drop_former(*pins_, folder_); !done) return done;
  auto attachment = Attachment::open(objects_);
  if (!attachment) return tl::unexpected(attachment.error());
  attachment_.emplace(std::move(*attachment));
  return {};
}

std::vector<Damage> Layer::inspect(int cgroup_fd, std::uint64_t cgroup_id, const std::string& cgroup) {
  std::vector<Damage> found;
  const auto restored = restore_programs(cgroup_fd, cgroup_id);
  if (!restored) found.push_back({restored.error().message() + ": " + cgroup, false});
  if (restored && !restored->attached.empty())
    found.push_back({join(restored->attached) + " had been detached from " + cgroup, true});
  const ArmedWorkload* armed = find(cgroup_id);
  if (armed == nullptr) return found;
  if (auto changed = inspect_policy(cgroup_id, cgroup)) found.push_back(std::move(*changed));
  const auto mended = slots_->mend_pins(armed->config.slot);
  if (!mended || *mended)
    found.push_back({"a pin of the tables of " + cgroup + " had been removed or changed", mended.has_value()});
  return found;
}

std::optional<Damage> Layer::inspect_policy(std::uint64_t cgroup_id, const std::string& cgroup) {
  const ArmedWorkload* armed = find(cgroup_id);
  if (armed == nullptr) return std::nullopt;
  std::optional<nw_workload> held;
  if ((armed->config.flags & NW_FLAG_CHILD) != 0) {
    held = children_.find(cgroup_id);
  } else if (nw_workload value{}; bpf_map_lookup_elem(objects_.map("workloads"), &cgroup_id, &value) == 0) {
    held = value;
  }
  if (held && std::memcmp(&*held, &armed->config, sizeof(*held)) == 0) return std::nullopt;
  return Damage{"the kernel held another policy for " + cgroup + " than it was given",
                write(armed->config).has_value()};
}

std::vector<Damage> Layer::inspect_guard(int cgroup_fd, std::uint64_t cgroup_id, const std::string& cgroup) {
  std::vector<Damage> found;
  const auto restored = attachment_->restore_guard(cgroup_fd);
  if (!restored) found.push_back({restored.error().message() + ": " + cgroup, false});
  if (restored && !restored->attached.empty()) found.push_back({"the guard had been detached from " + cgroup, true});
  nw_guard guard{};
  const int map = objects_.map("guards");
  if (bpf_map_lookup_elem(map, &cgroup_id, &guard) < 0 || guard.is_set != 0) return found;
  guard = {.level = guarded_.at(cgroup_id), .is_set = 1, .cgroup_id = cgroup_id, .refused = 0, .next_event = 0};
  found.push_back(
      {"the guard of " + cgroup + " had been changed", bpf_map_update_elem(map, &cgroup_id, &guard, BPF_EXIST) == 0});
  return found;
}

std::vector<Damage> Layer::inspect_pins() const {
  std::vector<Damage> found;
  const std::string tables = folder_ + "/tables";
  if (!pins_->is_intact(tables))
    found.push_back(
        {"the directory " + tables + " had been removed or changed", pins_->make_directory(tables).has_value()});
  const auto mended = objects_.mend_pins(*pins_, folder_);
  if (!mended) found.push_back({mended.error().message(), false});
  if (mended && !mended->empty()) found.push_back({"pins had been removed or changed: " + join(*mended), true});
  return found;
}

std::vector<Damage> Layer::inspect_tables() {
  const auto mended = slots_->mend_next_pins(kTablesEachTime);
  if (!mended) return {{mended.error().message(), false}};
  if (*mended == 0) return {};
  return {{"pins of " + std::to_string(*mended) + " tables had been removed or changed", true}};
}

Result<void> Layer::pin_everything() const {
  if (auto mended = objects_.mend_pins(*pins_, folder_); !mended) return tl::unexpected(mended.error());
  if (auto done = pins_->make_directory(folder_ + "/tables"); !done) return done;
  return slots_->pin_everything();
}

Result<void> Layer::guard(int cgroup_fd, const CgroupIdentity& cgroup) {
  if (guarded_.contains(cgroup.id)) return {};
  const nw_guard guard{.level = cgroup.level, .is_set = 1, .cgroup_id = cgroup.id, .refused = 0, .next_event = 0};
  if (auto done = attachment_->attach_guard(cgroup_fd, guard); !done) return done;
  guarded_.emplace(cgroup.id, cgroup.level);
  return {};
}

Result<void> Layer::unguard(int cgroup_fd, std::uint64_t cgroup_id) {
  if (!guarded_.contains(cgroup_id)) return fail(ErrorKind::kNotFound, "the cgroup has no guard");
  if (auto done = attachment_->detach_guard(cgroup_fd); !done) return done;
  const nw_guard none{};
  bpf_map_update_elem(objects_.map("guards"), &cgroup_id, &none, BPF_EXIST);
  guarded_.erase(cgroup_id);
  return {};
}

Result<void> Layer::list_as_armed(std::uint64_t cgroup_id) const {
  const std::uint8_t armed = 1;
  if (const int error = bpf_map_update_elem(objects_.map("armed_cgroups"), &cgroup_id, &armed, BPF_ANY); error < 0)
    return fail_errno(-error, "cannot list the cgroup as armed");
  return {};
}

void Layer::unlist_as_armed(std::uint64_t cgroup_id) const {
  bpf_map_delete_elem(objects_.map("armed_cgroups"), &cgroup_id);
}

}  // namespace namewall::bpf
