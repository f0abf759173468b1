#include "bpf/rule_store.h"

#include <cassert>
#include <functional>

#include "bpf/map_access.h"
#include "bpf/rule_entries.h"
#include "policy/image_hash.h"

namespace namewall::bpf {
namespace {

constexpr std::chrono::seconds kLongestProgramRun(1);
constexpr std::size_t kGlobWeight = 16;  // the map of patterns has a sixteenth of the room

std::size_t entries_of(const SharedImage& image) {
  return image ? image->names.size() + image->addresses.size() + image->globs.size() * kGlobWeight : 1;
}

// All keys are read before the first goes: a key that is deleted meanwhile would begin the walk anew.
template <typename Key>
Result<void> delete_where(int map_fd, const char* map_name, const std::function<bool(std::uint32_t)>& is_dead) {
  std::vector<Key> dead;
  Key key{}, next{};
  for (const Key* at = nullptr; bpf_map_get_next_key(map_fd, at, &next) == 0; at = &key) {
    key = next;
    if (is_dead(key.policy_id)) dead.push_back(key);
  }
  return delete_all(map_fd, map_name, dead);
}

}  // namespace

Result<RuleStore> RuleStore::open(Maps maps, BootIds* ids) {
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (const int error = bpf_obj_get_info_by_fd(maps.names, &info, &size); error < 0)
    return fail_errno(-error, "cannot examine the name rules");
  return RuleStore(maps, ids, info.max_entries / 4);
}

Result<void> RuleStore::install(const PolicyImage& image, std::uint32_t policy_id) const {
  const RuleEntries entries = make_rule_entries(image, policy_id);
  auto done = update_all(maps_.names, "the name rules", entries.names.keys, entries.names.values);
  if (done) done = update_all(maps_.globs, "the patterns", entries.globs.keys, entries.globs.values);
  if (done) done = update_all(maps_.addresses, "the address rules", entries.addresses.keys, entries.addresses.values);
  if (!done) (void)remove(image, policy_id);  // what stays is unreachable under an unused id
  return done;
}

Result<void> RuleStore::remove(const PolicyImage& image, std::uint32_t policy_id) const {
  const RuleEntries entries = make_rule_entries(image, policy_id);
  auto done = delete_all(maps_.names, "the name rules", entries.names.keys);
  if (done) done = delete_all(maps_.globs, "the patterns", entries.globs.keys);
  if (done) done = delete_all(maps_.addresses, "the address rules", entries.addresses.keys);
  return done;
}

Result<RuleStore::Policy> RuleStore::acquire(const SharedImage& image, std::uint32_t former_id) {
  const std::uint64_t hash = hash_of(*image);
  for (auto [at, end] = by_hash_.equal_range(hash); at != end; ++at) {
    Installed& installed = policies_.at(at->second);
    if (at->second <= former_id || !(*installed.image == *image)) continue;
    ++installed.references;
    return Policy{at->second, hash};
  }
  const auto id = ids_->next_policy_id();
  if (!id) return tl::unexpected(id.error());
  if (auto done = install(*image, *id); !done) return tl::unexpected(done.error());
  policies_.emplace(*id, Installed{image, hash, 1});
  by_hash_.emplace(hash, *id);
  return Policy{*id, hash};
}

void RuleStore::adopt(std::uint32_t policy_id) { ++policies_[policy_id].references; }

void RuleStore::recognise(std::uint32_t policy_id, const SharedImage& image) {
  const auto found = policies_.find(policy_id);
  assert(found != policies_.end());
  if (found->second.image) return;
  found->second.image = image;
  found->second.hash = hash_of(*image);
  by_hash_.emplace(found->second.hash, policy_id);
}

void RuleStore::release(std::uint32_t policy_id) {
  const auto found = policies_.find(policy_id);
  if (found == policies_.end() || --found->second.references > 0) return;
  if (found->second.image) {
    auto [at, end] = by_hash_.equal_range(found->second.hash);
    while (at != end && at->second != policy_id) ++at;
    if (at != end) by_hash_.erase(at);
  }
  retired_entries_ += entries_of(found->second.image);
  retired_.push_back({policy_id, std::move(found->second.image), std::chrono::steady_clock::now()});
  policies_.erase(found);
}

bool RuleStore::has_many_retired() const { return retired_entries_ >= many_entries_; }

void RuleStore::no_program_reads_retired() {
  for (Retired& retired : retired_) retired.since = {};
}

void RuleStore::sweep_unadopted() {
  sweep_.emplace();
  for (const auto& [id, installed] : policies_) sweep_->insert(id);
  sweep_below_ = ids_->first_fresh_policy_id();
}

RuleStore::Removal RuleStore::plan_removal() {
  Removal removal;
  const auto now = std::chrono::steady_clock::now();
  auto at = retired_.begin();
  for (; at != retired_.end() && now - at->since > kLongestProgramRun; ++at) {
    retired_entries_ -= entries_of(at->image);
    if (at->image) {
      removal.known.emplace_back(at->policy_id, std::move(at->image));
    } else {
      removal.unknown.insert(at->policy_id);
    }
  }
  retired_.erase(retired_.begin(), at);
  std::swap(removal.sweep, sweep_);
  removal.sweep_below = sweep_below_;
  return removal;
}

void RuleStore::put_back(Removal removal) {
  const auto now = std::chrono::steady_clock::now();
  for (const std::uint32_t id : removal.unknown) removal.known.emplace_back(id, nullptr);
  for (auto& [id, image] : removal.known) {
    retired_entries_ += entries_of(image);
    retired_.push_back({id, std::move(image), now});
  }
  if (removal.sweep) sweep_ = std::move(removal.sweep);
}

Result<void> RuleStore::remove_retired() {
  Removal removal = plan_removal();
  auto done = carry_out(removal);
  if (!done) put_back(std::move(removal));
  return done;
}

Result<void> RuleStore::carry_out(const Removal& removal) const {
  for (const auto& [id, image] : removal.known) {
    if (auto done = remove(*image, id); !done) return done;
  }
  if (removal.unknown.empty() && !removal.sweep) return {};
  const auto is_dead = [&](std::uint32_t id) {
    return removal.unknown.contains(id) || (removal.sweep && id < removal.sweep_below && !removal.sweep->contains(id));
  };
  auto done = delete_where<nw_name_key>(maps_.names, "the name rules", is_dead);
  if (done) done = delete_where<nw_glob_key>(maps_.globs, "the patterns", is_dead);
  if (done) done = delete_where<nw_address_key>(maps_.addresses, "the address rules", is_dead);
  return done;
}

}  // namespace namewall::bpf
