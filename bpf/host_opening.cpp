// HostEnforcer: opening, and adopting what an earlier process left.
#include <sys/resource.h>

#include <algorithm>

#include "bpf/cgroup_search.h"
#include "bpf/host_state.h"

namespace namewall::bpf {
namespace {

const std::string kVersionFolder = "v" + std::to_string(NW_ABI_VERSION);
constexpr std::string_view kLayer = "layer";

std::string layer_folder(std::uint32_t number) {
  return kVersionFolder + "/" + std::string(kLayer) + std::to_string(number);
}

Result<void> refuse_unknown_versions(const PinDirectory& pins) {
  for (const std::string& name : pins.list("")) {
    if (name == kVersionFolder) continue;
    return fail(ErrorKind::kConflict,
                pins.path() + "/" + name +
                    " is of a namewall version that this one does not know: what it armed stays enforced, untouched; "
                    "start that version, or lift it with its `namewall teardown`");
  }
  return {};
}

// Two descriptors for the tables of each workload.
void allow_many_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Paths and ids of the cgroups that exist.
class KnownCgroups {
 public:
  explicit KnownCgroups(const std::string& mount) {
    walk_cgroups(mount, [this](const std::string& path, std::uint64_t id) {
      paths_.emplace(id, path);
      ids_.emplace(path, id);
    });
  }
  const std::string* path_of(std::uint64_t id) const {
    const auto found = paths_.find(id);
    return found == paths_.end() ? nullptr : &found->second;
  }
  std::vector<std::uint64_t> ancestors_of(const std::string& path) const {
    std::vector<std::uint64_t> ids;
    for (std::size_t end = path.rfind('/'); end != std::string::npos && path != "/"; end = path.rfind('/', end - 1)) {
      const auto found = ids_.find(end == 0 ? "/" : path.substr(0, end));
      if (found != ids_.end()) ids.push_back(found->second);
      if (end == 0) break;
    }
    return ids;
  }

 private:
  std::unordered_map<std::uint64_t, std::string> paths_;
  std::unordered_map<std::string, std::uint64_t> ids_;
};

}  // namespace

Result<HostEnforcer> HostEnforcer::open(const HostOptions& options) {
  allow_many_descriptors();
  auto mount = find_cgroup_mount();
  if (!mount) return fail(ErrorKind::kUnsupported, mount.error().message());
  auto pins = PinDirectory::open(options.directory, {options.owner_uid, options.owner_gid});
  if (!pins) return tl::unexpected(pins.error());
  if (auto known = refuse_unknown_versions(*pins); !known) return tl::unexpected(known.error());
  auto state = std::make_unique<State>(options, std::move(*pins), std::move(*mount));
  if (auto done = state->pins.make_directory(kVersionFolder); !done) return tl::unexpected(done.error());
  std::uint32_t last_layer = 0;
  for (const std::string& name : state->pins.list(kVersionFolder)) {
    if (name.compare(0, kLayer.size(), kLayer) != 0) continue;
    last_layer =
        std::max(last_layer, static_cast<std::uint32_t>(std::strtoul(name.c_str() + kLayer.size(), nullptr, 10)));
  }
  if (last_layer >= kMostLayers) {
    return fail(ErrorKind::kConflict, options.directory + " has more layers than " + std::to_string(kMostLayers));
  }
  if (auto opened = state->open_layer(last_layer); !opened) return tl::unexpected(opened.error());
  if (auto done = state->adopt(); !done) return tl::unexpected(done.error());
  if (auto census = ProgramCensus::open()) state->census.emplace(std::move(*census));
  return HostEnforcer(std::move(state));
}

Result<std::unique_ptr<Layer>> HostEnforcer::State::load_layer(std::uint32_t number) const {
  const MapSizes sizes{.max_workloads = options.max_workloads,
                       .max_children = options.max_workloads,
                       .max_names = options.max_names,
                       .event_ring_bytes = options.event_ring_bytes,
                       .kernel = options.kernel};
  return Layer::open(sizes, pins, layer_folder(number), options.spare_tables, AskerTokens(options.use_marks, number));
}

Result<void> HostEnforcer::State::join_layer(std::unique_ptr<Layer> layer) {
  if (!own_addresses.empty()) {  // else an adopted layer keeps those it has
    if (auto done = layer->set_own_addresses(own_addresses); !done) return done;
  }
  if (!layers.empty()) {
    for (const ProxyPlace& place : layers.front()->proxy_places().list()) {
      if (auto done = layer->proxy_places().add(place); !done) return done;
    }
  }
  for (const auto& [id, place] : places) {
    const ArmedWorkload* armed = place.has_programs ? layers[place.layer]->find(id) : nullptr;
    if (armed != nullptr) (void)layer->list_deeper(armed->config);
  }
  layers.push_back(std::move(layer));
  return {};
}

Result<Layer*> HostEnforcer::State::open_layer(std::uint32_t number) {
  if (is_loading_layer && layers.size() <= number) {  // it may be that one
    std::unique_lock lock(mutex, std::adopt_lock);
    layer_loaded.wait(lock, [this] { return !is_loading_layer; });
    lock.release();  // the caller's again
  }
  while (layers.size() <= number) {
    auto layer = load_layer(static_cast<std::uint32_t>(layers.size()));
    if (!layer) return tl::unexpected(layer.error());
    if (auto joined = join_layer(std::move(*layer)); !joined) return tl::unexpected(joined.error());
  }
  return layers[number].get();
}

Result<void> HostEnforcer::State::keep_spare_layer() {
  std::uint32_t number = 0;
  {
    const std::lock_guard lock(mutex);
    number = static_cast<std::uint32_t>(layers.size());
    const bool is_last_used =
        std::any_of(places.begin(), places.end(), [&](const auto& place) { return place.second.layer + 1 == number; });
    // A host on which nothing is nested pays for no second layer (10 MiB).
    const bool is_nesting = number > 1;
    if (!options.keeps_spare_layer || has_no_spare_layer || !is_last_used || !is_nesting || number >= kMostLayers) {
      return {};
    }
    is_loading_layer = true;
  }
  auto layer = load_layer(number);
  const std::lock_guard lock(mutex);
  is_loading_layer = false;
  layer_loaded.notify_all();
  Result<void> joined = layer ? join_layer(std::move(*layer)) : Result<void>(tl::unexpected(layer.error()));
  has_no_spare_layer = !joined;
  return joined;
}

Result<void> HostEnforcer::State::adopt() {
  const bool is_empty = std::all_of(layers.begin(), layers.end(), [](const auto& layer) {
    return layer->armed().empty() && layer->guarded().empty() && !layer->has_former_programs();
  });
  if (is_empty) return {};
  const KnownCgroups known(cgroup_mount);
  const auto restore = [&](Layer& layer, std::uint64_t id, const std::string& path) -> Result<void> {
    const auto fd = open_cgroup(cgroup_mount, path, id);
    if (!fd) return fd.error().kind == ErrorKind::kNotFound ? Result<void>{} : tl::unexpected(fd.error());
    const auto restored = layer.restore_programs(fd->get(), id);
    if (!restored) return tl::unexpected(restored.error());
    adoption.hooks_replaced += static_cast<std::uint32_t>(restored->replaced.size());
    adoption.longest_replacement = std::max(adoption.longest_replacement, restored->longest);
    if (!restored->attached.empty()) noticed.push_back({"programs of " + path + " had been detached", true});
    return {};
  };
  for (std::uint32_t number = 0; number < layers.size(); ++number) {
    Layer& layer = *layers[number];
    std::vector<std::uint64_t> ids, guards;
    for (const auto& [id, armed] : layer.armed()) ids.push_back(id);
    for (const auto& [id, level] : layer.guarded()) guards.push_back(id);
    for (const std::uint64_t id : ids) {
      const std::string* path = known.path_of(id);
      if (path == nullptr) {
        layer.forget(id);
        continue;
      }
      place(id, known.ancestors_of(*path), number, *path);
      if (auto done = restore(layer, id, *path); !done) return done;
      ++adoption.workloads;
    }
    for (const std::uint64_t id : guards) {
      const std::string* path = known.path_of(id);
      if (path == nullptr) {
        layer.forget(id);
        continue;
      }
      guarded.insert_or_assign(id, *path);
      if (auto done = restore(layer, id, *path); !done) return done;
    }
    adoption.live_grants += layer.count_live_grants();
    if (!layer.has_former_programs()) continue;
    adoption.programs_replaced = true;
    if (auto done = layer.drop_former_programs(); !done) return done;
  }
  return {};
}

}  // namespace namewall::bpf
