#include "bpf/kernel_objects.h"

#include <bpf/libbpf.h>
#include <fcntl.h>

#include <algorithm>
#include <cassert>
#include <memory>

#include "namewall.skel.h"
#include "policy/image_hash.h"

namespace namewall::bpf {
namespace {

constexpr std::string_view kProgramFolder = "programs-";
constexpr char kUnfinished[] = "unfinished";

// What user space asks for by name.
constexpr std::array kMaps{"workloads",     "children",   "spare_tables",  "ids",           "guards",
                           "armed_cgroups", "name_rules", "glob_rules",    "address_rules", "grants",
                           "names",         "stats",      "own_addresses", "events"};
// Builds before this one did not have them: missing beside such a build's programs, they are made.
constexpr std::array kLaterMaps{"proxy_ports", "proxy_resolvers", "proxy_askers", "proxy_secret", "deeper_workloads"};

constexpr std::array kPrograms{
    "namewall_ingress",  "namewall_egress",        "namewall_sock_create",  "namewall_bind4",
    "namewall_bind6",    "namewall_post_bind4",    "namewall_post_bind6",   "namewall_sendmsg4",
    "namewall_sendmsg6", "namewall_connect4",      "namewall_connect6",     "namewall_prepare",
    "namewall_guard",    "namewall_prepare_guard", "namewall_reap",         "namewall_teach",
    "namewall_recvmsg4", "namewall_recvmsg6",      "namewall_getpeername4", "namewall_getpeername6"};

// Working memory of the programs: each build has its own.
bool is_working_memory(std::string_view map) { return map == "scratches" || map == "row_buffers"; }

// What libbpf says while it loads is kept for the error, not printed.
thread_local std::string load_messages;

int keep_message(libbpf_print_level level, const char* format, va_list arguments) {
  if (level > LIBBPF_WARN || load_messages.size() > 4096) return 0;
  std::array<char, 1024> line;
  const int length = vsnprintf(line.data(), line.size(), format, arguments);
  if (length > 0)
    load_messages.append(line.data(), std::min<std::size_t>(static_cast<std::size_t>(length), line.size() - 1));
  return 0;
}

class QuietLibbpf {
 public:
  QuietLibbpf() : previous_(libbpf_set_print(keep_message)) { load_messages.clear(); }
  QuietLibbpf(const QuietLibbpf&) = delete;
  ~QuietLibbpf() { libbpf_set_print(previous_); }

 private:
  libbpf_print_fn_t previous_;
};

struct SkeletonDeleter {
  void operator()(namewall_bpf* skeleton) const { namewall_bpf::destroy(skeleton); }
};
using Skeleton = std::unique_ptr<namewall_bpf, SkeletonDeleter>;

std::string explain_load_failure(int error) {
  if (error == EPERM || error == EACCES) {
    return "this process may not load BPF programs (it needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; run as root)";
  }
  if (error == ENOSYS) return "this kernel has no BPF";
  std::string last = load_messages.substr(0, load_messages.find('\n'));
  return "this kernel does not accept namewall's BPF programs" + (last.empty() ? "" : " (" + last + ")");
}

tl::unexpected<Error> load_failure(int error) {
  const ErrorKind kind = error == EPERM || error == EACCES ? ErrorKind::kPermission : ErrorKind::kUnsupported;
  return fail(kind, explain_load_failure(error));
}

void set_sizes(namewall_bpf& skeleton, const MapSizes& sizes) {
  auto& maps = skeleton.maps;
  bpf_map__set_max_entries(maps.name_rules, sizes.max_names);
  bpf_map__set_max_entries(maps.grants, sizes.max_workloads);
  bpf_map__set_max_entries(maps.names, sizes.max_workloads);
  bpf_map__set_max_entries(maps.stats, sizes.max_workloads);
  bpf_map__set_max_entries(maps.children, 2 * sizes.max_children);
  bpf_map__set_max_entries(maps.spare_tables, sizes.max_children);
  bpf_map__set_max_entries(maps.armed_cgroups, 2 * sizes.max_workloads);
  bpf_map__set_max_entries(maps.deeper_workloads, sizes.max_workloads);
  bpf_map__set_max_entries(maps.events, sizes.event_ring_bytes);
}

Result<FileDescriptor> duplicate(int fd) {
  FileDescriptor copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return fail_errno(errno, "cannot keep a BPF descriptor");
  return copy;
}

std::string map_pin(const std::string& folder, std::string_view name) { return folder + "/maps/" + std::string(name); }

std::string program_pin(const std::string& folder, std::string_view name) {
  return folder + "/" + program_folder() + "/" + std::string(name);
}

}  // namespace

std::string program_folder() {
  static const std::string folder = [] {
    std::size_t size = 0;
    const auto* bytes = static_cast<const char*>(namewall_bpf::elf_bytes(&size));
    std::array<char, 17> text;
    snprintf(text.data(), text.size(), "%016llx",
             static_cast<unsigned long long>(hash_bytes(std::string_view(bytes, size))));
    return std::string(kProgramFolder) + text.data();
  }();
  return folder;
}

bool is_program_folder(std::string_view name) { return name.substr(0, kProgramFolder.size()) == kProgramFolder; }

int KernelObjects::map(std::string_view name) const {
  const auto found = maps_.find(name);
  assert(found != maps_.end());
  return found->second.get();
}

int KernelObjects::program(std::string_view name) const {
  const auto found = programs_.find(name);
  assert(found != programs_.end());
  return found->second.get();
}

// With the maps that are open already; takes the others from the load.
Result<void> KernelObjects::load_programs(const MapSizes& sizes) {
  const QuietLibbpf quiet;
  const Skeleton skeleton(namewall_bpf::open());
  if (!skeleton) return load_failure(errno);
  set_sizes(*skeleton, sizes);
  skeleton->rodata->has_loop = sizes.kernel.has_loop ? 1 : 0;
  skeleton->rodata->has_set_retval = sizes.kernel.has_set_retval ? 1 : 0;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    const auto known = maps_.find(std::string_view(bpf_map__name(map)));
    if (known == maps_.end()) continue;
    if (const int error = bpf_map__reuse_fd(map, known->second.get()); error < 0)
      return fail_errno(-error, std::string("cannot use the pinned map ") + bpf_map__name(map));
  }
  if (const int error = namewall_bpf::load(skeleton.get()); error != 0) return load_failure(-error);
  bpf_object__for_each_map(map, skeleton->obj) {
    if (bpf_map__is_internal(map) || maps_.contains(std::string_view(bpf_map__name(map)))) continue;
    auto fd = duplicate(bpf_map__fd(map));
    if (!fd) return tl::unexpected(fd.error());
    maps_.emplace(bpf_map__name(map), std::move(*fd));
  }
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) {
    auto fd = duplicate(bpf_program__fd(program));
    if (!fd) return tl::unexpected(fd.error());
    programs_.insert_or_assign(bpf_program__name(program), std::move(*fd));
  }
  return {};
}

Result<KernelObjects> KernelObjects::load(const MapSizes& sizes) {
  KernelObjects objects;
  if (auto done = objects.load_programs(sizes); !done) return tl::unexpected(done.error());
  return objects;
}

Result<KernelObjects> KernelObjects::open(const MapSizes& sizes, const PinDirectory& pins, const std::string& folder) {
  KernelObjects objects;
  for (const std::string& name : pins.list(folder + "/maps")) {
    auto fd = pins.open_pin(map_pin(folder, name));
    if (!fd) return tl::unexpected(fd.error());
    objects.maps_.emplace(name, std::move(*fd));
  }
  const std::string programs = folder + "/" + program_folder();
  for (const std::string& name : pins.list(programs)) {
    auto fd = pins.open_pin(program_pin(folder, name));
    if (!fd) return tl::unexpected(fd.error());
    objects.programs_.emplace(name, std::move(*fd));
  }
  if (auto done = objects.open_former(pins, folder); !done) return tl::unexpected(done.error());
  const bool is_armed = !objects.programs_.empty() || !objects.former_.empty();
  const auto find_lost = [&](const auto& names) -> const char* {
    const auto lost = std::find_if(names.begin(), names.end(),
                                   [&](const char* name) { return !objects.maps_.contains(std::string_view(name)); });
    return lost == names.end() ? nullptr : *lost;
  };
  const char* lost = find_lost(kMaps);
  if (lost == nullptr && !objects.programs_.empty()) lost = find_lost(kLaterMaps);
  if (is_armed && lost != nullptr) {
    return fail(
        ErrorKind::kConflict,
        "the pin " + pins.path() + "/" + map_pin(folder, lost) +
            " was removed while no namewalld ran: what it armed stays enforced, untouched, and can no longer be "
            "managed; lift it with `namewall teardown` and start again");
  }
  const bool is_complete = std::all_of(kPrograms.begin(), kPrograms.end(), [&](const char* name) {
    return objects.programs_.contains(std::string_view(name));
  });
  if (is_complete) return objects;
  for (auto& [name, fd] : objects.programs_) objects.former_.emplace_back(name, std::move(fd));
  objects.programs_.clear();

  if (auto done = objects.load_programs(sizes); !done) return tl::unexpected(done.error());
  // The maps first, the programs by one rename: a folder of programs is complete, and so are the maps beside it.
  const std::string unfinished = folder + "/" + kUnfinished;
  auto done = pins.make_directory(folder);
  if (done) done = pins.make_directory(folder + "/maps");
  if (done) done = pins.remove_tree(unfinished);
  if (done) done = pins.make_directory(unfinished);
  for (const auto& [name, fd] : objects.maps_) {
    if (is_working_memory(name)) continue;
    if (done && !pins.is_intact(map_pin(folder, name))) done = pins.pin(fd.get(), map_pin(folder, name));
  }
  for (const auto& [name, fd] : objects.programs_) {
    if (done) done = pins.pin(fd.get(), unfinished + "/" + name);
  }
  if (done) done = pins.remove_tree(programs);  // one that had lost pins
  if (done) done = pins.rename(unfinished, programs);
  if (!done) return tl::unexpected(done.error());
  return objects;
}

Result<void> KernelObjects::open_former(const PinDirectory& pins, const std::string& folder) {
  for (const std::string& build : pins.list(folder)) {
    if (!is_program_folder(build) || build == program_folder()) continue;
    for (const std::string& name : pins.list(folder + "/" + build)) {
      auto fd = pins.open_pin(folder + "/" + build + "/" + name);
      if (!fd) return tl::unexpected(fd.error());
      former_.emplace_back(name, std::move(*fd));
    }
  }
  return {};
}

Result<void> KernelObjects::drop_former(const PinDirectory& pins, const std::string& folder) {
  for (const std::string& build : pins.list(folder)) {
    if (!is_program_folder(build) || build == program_folder()) continue;
    if (auto done = pins.remove_tree(folder + "/" + build); !done) return done;
  }
  former_.clear();
  return {};
}

Result<std::vector<std::string>> KernelObjects::mend_pins(const PinDirectory& pins, const std::string& folder) const {
  const std::string programs = folder + "/" + program_folder();
  std::vector<std::string> mended;
  for (const std::string& directory : {folder, folder + "/maps", programs}) {
    if (pins.is_intact(directory)) continue;
    if (auto done = pins.make_directory(directory); !done) return tl::unexpected(done.error());
    mended.push_back(directory);
  }
  const auto mend = [&](int fd, const std::string& at) -> Result<void> {
    if (pins.is_intact(at)) return {};
    mended.push_back(at);
    return pins.pin(fd, at);
  };
  for (const auto& [name, fd] : maps_) {
    if (is_working_memory(name)) continue;
    if (auto done = mend(fd.get(), map_pin(folder, name)); !done) return tl::unexpected(done.error());
  }
  for (const auto& [name, fd] : programs_) {
    if (auto done = mend(fd.get(), program_pin(folder, name)); !done) return tl::unexpected(done.error());
  }
  return mended;
}

}  // namespace namewall::bpf
