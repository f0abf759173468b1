#include "bpf/workload_tables.h"

#include <algorithm>
#include <unordered_map>

#include "bpf/hash.h"
#include "bpf/map_access.h"
#include "bpf/rule_entries.h"

namespace namewall::bpf {
namespace {

// One address may have many names, so names have twice the room.
constexpr std::uint32_t kNamesPerAddress = 2;
constexpr std::uint32_t kLeastNames = 64;

Result<FileDescriptor> create_map(bpf_map_type type, const char* name, std::uint32_t key_size, std::uint32_t value_size,
                                  std::uint32_t entries, std::uint32_t flags) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);
  const int fd = bpf_map_create(type, name, key_size, value_size, entries, &options);
  if (fd < 0) return fail_errno(-fd, std::string("cannot create the map ") + name);
  return FileDescriptor(fd);
}

PortMask make_word(std::uint32_t generation, PortMask mask) {
  return std::uint64_t{generation} << NW_MASK_BITS | (mask & NW_MASK);
}

// Index of a free slot in the less loaded of the two buckets; the bucket's size when both are full.
struct Spot {
  nw_grant_bucket* bucket;
  std::size_t slot;
};

Spot find_spot(std::vector<nw_grant_bucket>& buckets, const nw_place& place) {
  const auto used = [](const nw_grant_bucket& bucket) {
    return static_cast<std::size_t>(std::count_if(std::begin(bucket.slots), std::end(bucket.slots),
                                                  [](const nw_grant& slot) { return slot.deadline != 0; }));
  };
  nw_grant_bucket& first = buckets[place.first];
  nw_grant_bucket& second = buckets[place.second];
  nw_grant_bucket& chosen = used(second) < used(first) ? second : first;
  return {&chosen, used(chosen)};
}

}  // namespace

std::uint32_t bucket_count_for(std::uint32_t max_addresses) {
  const std::uint32_t slots = max_addresses + max_addresses / 2;
  return std::max<std::uint32_t>(2, (slots + NW_SLOTS_PER_BUCKET - 1) / NW_SLOTS_PER_BUCKET);
}

Result<WorkloadTables> WorkloadTables::create(std::uint32_t max_addresses) {
  WorkloadTables tables;
  tables.bucket_count_ = bucket_count_for(max_addresses);
  auto grants = create_map(BPF_MAP_TYPE_ARRAY, "nw_grants", sizeof(std::uint32_t), sizeof(nw_grant_bucket),
                           tables.bucket_count_, BPF_F_INNER_MAP);
  if (!grants) return tl::unexpected(grants.error());
  auto names = create_map(BPF_MAP_TYPE_HASH, "nw_names", sizeof(std::uint64_t), sizeof(nw_name),
                          std::max(kLeastNames, max_addresses * kNamesPerAddress), BPF_F_NO_PREALLOC);
  if (!names) return tl::unexpected(names.error());
  tables.grants_ = std::move(*grants);
  tables.names_ = std::move(*names);
  return tables;
}

Result<WorkloadTables> WorkloadTables::adopt(FileDescriptor grants, FileDescriptor names) {
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (const int error = bpf_obj_get_info_by_fd(grants.get(), &info, &size); error < 0)
    return fail_errno(-error, "cannot examine the grants");
  if (info.value_size != sizeof(nw_grant_bucket)) return fail(ErrorKind::kConflict, "the grants have another layout");
  WorkloadTables tables;
  tables.bucket_count_ = info.max_entries;
  tables.grants_ = std::move(grants);
  tables.names_ = std::move(names);
  return tables;
}

Result<std::vector<LearnedGrant>> WorkloadTables::read() const {
  const auto buckets = read_array<nw_grant_bucket>(grants_.get(), "the grants", bucket_count_);
  if (!buckets) return tl::unexpected(buckets.error());
  std::vector<LearnedGrant> learned;
  std::unordered_map<std::uint64_t, nw_name> names;
  for (const nw_grant_bucket& bucket : *buckets) {
    for (const nw_grant& slot : bucket.slots) {
      if (slot.deadline <= NW_DEADLINE_DEAD) continue;
      auto [name, is_new] = names.try_emplace(slot.name_id);
      if (is_new && bpf_map_lookup_elem(names_.get(), &slot.name_id, &name->second) < 0) name->second = {};
      learned.push_back({slot, name->second});
    }
  }
  return learned;
}

Result<std::uint32_t> WorkloadTables::count_live(std::uint64_t now) const {
  const auto buckets = read_array<nw_grant_bucket>(grants_.get(), "the grants", bucket_count_);
  if (!buckets) return tl::unexpected(buckets.error());
  std::uint32_t count = 0;
  for (const nw_grant_bucket& bucket : *buckets) {
    for (const nw_grant& slot : bucket.slots) count += slot.deadline > now && NW_USE_NOTE(slot.use) == NW_REASON_NONE;
  }
  return count;
}

Result<std::size_t> WorkloadTables::add(const std::vector<Grant>& grants, const nw_workload& workload) const {
  auto buckets = read_array<nw_grant_bucket>(grants_.get(), "the grants", bucket_count_);
  if (!buckets) return tl::unexpected(buckets.error());
  std::unordered_map<std::uint64_t, nw_name> names;
  std::size_t added = 0;
  for (const Grant& grant : grants) {
    nw_name name{};
    name.window = make_window(grant.name.text());
    name.id = nw_name_id(&name.window, workload.seed);
    name.deadline = static_cast<std::uint64_t>(grant.deadline.since_boot.count());
    name.ports = make_word(workload.generation, grant.ports);
    name.private_ports = name.ports;
    name.length = static_cast<std::uint32_t>(grant.name.text().size());
    name.labels = static_cast<std::uint32_t>(grant.name.label_count());
    nw_name& known = names.try_emplace(name.id, name).first->second;
    known.deadline = std::max(known.deadline, name.deadline);

    nw_grant slot{};
    copy_address(grant.address, slot.address);
    slot.deadline = name.deadline;
    slot.ports = name.ports;
    slot.name_id = name.id;
    slot.owner = workload.workload_id;
    slot.use = NW_MAKE_USE(grant.note, false);
    const nw_place place = nw_place_of(slot.address, workload.seed, bucket_count_);
    const Spot spot = find_spot(*buckets, place);
    if (spot.slot >= NW_SLOTS_PER_BUCKET) continue;
    spot.bucket->tags[spot.slot] = place.tag;
    spot.bucket->slots[spot.slot] = slot;
    ++added;
  }
  std::vector<std::uint64_t> name_keys;
  std::vector<nw_name> name_values;
  for (const auto& [id, name] : names) {
    name_keys.push_back(id);
    name_values.push_back(name);
  }
  if (auto done = update_all(names_.get(), "the names", name_keys, name_values); !done)
    return tl::unexpected(done.error());
  std::vector<std::uint32_t> bucket_keys(buckets->size());
  for (std::size_t i = 0; i < bucket_keys.size(); ++i) bucket_keys[i] = static_cast<std::uint32_t>(i);
  if (auto done = update_all(grants_.get(), "the grants", bucket_keys, *buckets); !done)
    return tl::unexpected(done.error());
  return added;
}

}  // namespace namewall::bpf
