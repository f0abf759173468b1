#include "bpf/pinned_view.h"

#include <bpf/bpf.h>
#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <unordered_map>

#include "bpf/cgroup_search.h"
#include "bpf/child_rows.h"
#include "bpf/map_access.h"
#include "bpf/rule_entries.h"
#include "bpf/workload_tables.h"

namespace namewall::bpf {
namespace {

const std::string kVersion = "v" + std::to_string(NW_ABI_VERSION);

Result<FileDescriptor> open_pin(const std::string& path) {
  LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = BPF_F_RDONLY);
  const int fd = bpf_obj_get_opts(path.c_str(), &options);
  if (fd < 0) return fail_errno(-fd, "cannot open the pin " + path);
  return FileDescriptor(fd);
}

Result<std::vector<std::string>> list(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
  if (!directory) return fail_errno(errno, "cannot read " + path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (const std::string name = entry->d_name; name != "." && name != "..") names.push_back(name);
  }
  return names;
}

Result<std::vector<PinnedGrant>> read_grants(const std::string& tables, const nw_workload& workload) {
  const std::string pin = tables + "/" + std::to_string(workload.slot);
  auto grants = open_pin(pin + "-grants");
  if (!grants) return tl::unexpected(grants.error());
  auto names = open_pin(pin + "-names");
  if (!names) return tl::unexpected(names.error());
  const auto adopted = WorkloadTables::adopt(std::move(*grants), std::move(*names));
  if (!adopted) return tl::unexpected(adopted.error());
  const auto learned = adopted->read();
  if (!learned) return tl::unexpected(learned.error());
  std::vector<PinnedGrant> found;
  found.reserve(learned->size());
  for (const auto& [slot, name] : *learned) {
    if (slot.owner != workload.workload_id) continue;
    const auto generation_of = [](std::uint64_t word) { return static_cast<std::uint32_t>(word >> NW_MASK_BITS); };
    std::uint64_t word = slot.ports;
    if (generation_of(word) != workload.generation)
      word = (slot.use & NW_USE_PRIVATE) != 0 ? name.private_ports : name.ports;
    found.push_back({.address = to_address(slot.address),
                     .name = name_of(name.window, name.length),
                     .deadline = BootTime{Nanoseconds(slot.deadline)},
                     .mask = generation_of(word) == workload.generation ? word & kAllPorts : 0,
                     .note = static_cast<Reason>(NW_USE_NOTE(slot.use)),
                     .hits = slot.use & NW_USE_HITS});
  }
  return found;
}

// The workloads of one layer: those with programs of their own, and the children of templates.
Result<std::vector<nw_workload>> read_configs(const std::string& layer) {
  const auto workloads = open_pin(layer + "/maps/workloads");
  if (!workloads) return tl::unexpected(workloads.error());
  const auto children = open_pin(layer + "/maps/children");
  if (!children) return tl::unexpected(children.error());
  std::vector<nw_workload> configs;
  std::set<std::uint64_t> seen;
  std::uint64_t key = 0;
  for (const std::uint64_t* at = nullptr; bpf_map_get_next_key(workloads->get(), at, &key) == 0; at = &key) {
    nw_workload config{};
    if (!seen.insert(key).second || bpf_map_lookup_elem(workloads->get(), &key, &config) < 0) continue;
    if (config.workload_id != 0) configs.push_back(config);
  }
  for (const nw_workload& row : ChildRows(children->get(), -1).list()) configs.push_back(row);
  return configs;
}

std::unordered_map<std::uint64_t, std::string> paths_by_id() {
  std::unordered_map<std::uint64_t, std::string> paths;
  if (const auto mount = find_cgroup_mount())
    walk_cgroups(*mount, [&](const std::string& path, std::uint64_t id) { paths.emplace(id, path); });
  return paths;
}

}  // namespace

Result<std::vector<PinnedWorkload>> read_pinned_workloads(const std::string& directory) {
  const auto versions = list(directory);
  if (!versions && versions.error().error_number == ENOENT) return {};
  if (!versions) return tl::unexpected(versions.error());
  for (const std::string& version : *versions) {
    if (version != kVersion) {
      return fail(ErrorKind::kConflict,
                  directory + "/" + version + " is of a namewall version that this one does not know");
    }
  }
  if (versions->empty()) return {};
  const std::string root = directory + "/" + kVersion;
  const auto layers = list(root);
  if (!layers) return tl::unexpected(layers.error());
  std::vector<PinnedWorkload> found;
  for (const std::string& layer : *layers) {
    const auto configs = read_configs(root + "/" + layer);
    if (!configs) return tl::unexpected(configs.error());
    for (const nw_workload& config : *configs) {
      PinnedWorkload& workload = found.emplace_back();
      workload.cgroup_id = config.cgroup_id;
      workload.workload_id = config.workload_id;
      workload.generation = config.generation;
      workload.is_audit = config.mode == NW_MODE_AUDIT;
      workload.is_template = (config.flags & NW_FLAG_TEMPLATE) != 0;
      for (std::uint32_t i = 0; i < std::min<std::uint32_t>(config.interval_count, NW_MAX_PORT_INTERVALS); ++i) {
        const std::uint32_t word = config.intervals[i];
        workload.intervals.push_back({word >> 8, static_cast<std::uint8_t>(word)});
      }
      auto grants = read_grants(root + "/" + layer + "/tables", config);
      if (!grants && grants.error().kind == ErrorKind::kPermission) return tl::unexpected(grants.error());
      if (grants) {
        workload.grants = std::move(*grants);
      } else {
        workload.unread = grants.error().message();
      }
    }
  }
  if (!found.empty()) {
    const auto paths = paths_by_id();
    for (PinnedWorkload& workload : found) {
      if (const auto at = paths.find(workload.cgroup_id); at != paths.end()) workload.cgroup = at->second;
    }
  }
  return found;
}

}  // namespace namewall::bpf
