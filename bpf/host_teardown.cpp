// HostEnforcer: lifting everything, of whatever build or version it is.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>

#include "bpf/cgroup_search.h"
#include "bpf/host_enforcer.h"
#include "bpf/pin_directory.h"

namespace namewall::bpf {
namespace {

constexpr std::array kCgroupHooks{
    BPF_CGROUP_INET_INGRESS,      BPF_CGROUP_INET_EGRESS,       BPF_CGROUP_INET_SOCK_CREATE,
    BPF_CGROUP_INET_SOCK_RELEASE, BPF_CGROUP_SOCK_OPS,          BPF_CGROUP_INET4_BIND,
    BPF_CGROUP_INET6_BIND,        BPF_CGROUP_INET4_CONNECT,     BPF_CGROUP_INET6_CONNECT,
    BPF_CGROUP_INET4_POST_BIND,   BPF_CGROUP_INET6_POST_BIND,   BPF_CGROUP_UDP4_SENDMSG,
    BPF_CGROUP_UDP6_SENDMSG,      BPF_CGROUP_UDP4_RECVMSG,      BPF_CGROUP_UDP6_RECVMSG,
    BPF_CGROUP_GETSOCKOPT,        BPF_CGROUP_SETSOCKOPT,        BPF_CGROUP_INET4_GETPEERNAME,
    BPF_CGROUP_INET6_GETPEERNAME, BPF_CGROUP_INET4_GETSOCKNAME, BPF_CGROUP_INET6_GETSOCKNAME};

// Which programs are namewall's: those that use a pinned map, whatever became of their own pins.
class PinnedPrograms {
 public:
  explicit PinnedPrograms(const PinDirectory& pins) { collect(pins, ""); }

  // The program's descriptor; nullptr: somebody else's.
  const FileDescriptor* find(std::uint32_t id) {
    const auto [known, is_new] = programs_.try_emplace(id);
    if (!is_new) return known->second ? &known->second : nullptr;
    FileDescriptor fd(bpf_prog_get_fd_by_id(id));
    std::array<std::uint32_t, 64> used{};
    bpf_prog_info info{};
    info.nr_map_ids = used.size();
    info.map_ids = reinterpret_cast<std::uintptr_t>(used.data());
    std::uint32_t size = sizeof(info);
    if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) < 0) return nullptr;
    const auto end = used.begin() + std::min<std::size_t>(info.nr_map_ids, used.size());
    if (std::none_of(used.begin(), end, [&](std::uint32_t map) { return maps_.contains(map); })) return nullptr;
    known->second = std::move(fd);
    return &known->second;
  }

 private:
  void collect(const PinDirectory& pins, const std::string& folder) {
    for (const std::string& name : pins.list(folder)) {
      const std::string below = folder.empty() ? name : folder + "/" + name;
      const auto fd = pins.open_pin(below);
      bpf_map_info info{};
      std::uint32_t size = sizeof(info);
      if (!fd) {
        collect(pins, below);
      } else if (folder.size() >= kMaps.size() && folder.ends_with(kMaps) &&
                 bpf_obj_get_info_by_fd(fd->get(), &info, &size) == 0) {
        maps_.insert(info.id);
      }
    }
  }

  static constexpr std::string_view kMaps = "/maps";
  std::set<std::uint32_t> maps_;
  std::map<std::uint32_t, FileDescriptor> programs_;  // by id; without a descriptor: not ours
};

// How many programs of ours were there.
Result<std::size_t> lift(int cgroup_fd, PinnedPrograms& programs) {
  std::size_t lifted = 0;
  for (const bpf_attach_type hook : kCgroupHooks) {
    std::array<std::uint32_t, 64> ids;
    std::uint32_t count = ids.size();
    if (bpf_prog_query(cgroup_fd, hook, 0, nullptr, ids.data(), &count) < 0) continue;  // a hook this kernel lacks
    for (std::uint32_t i = 0; i < count; ++i) {
      const FileDescriptor* program = programs.find(ids[i]);
      if (program == nullptr) continue;
      const int error = bpf_prog_detach2(program->get(), cgroup_fd, hook);
      if (error < 0 && error != -ENOENT) return fail_errno(-error, "cannot detach from the cgroup");
      ++lifted;
    }
  }
  return lifted;
}

}  // namespace

Result<std::vector<std::string>> HostEnforcer::teardown_all(const HostOptions& options) {
  struct stat at {};
  if (lstat(options.directory.c_str(), &at) != 0) {
    if (errno == ENOENT) return std::vector<std::string>{};
    return fail_errno(errno, "cannot examine " + options.directory);
  }
  PinOwner owner{options.owner_uid, options.owner_gid};
  if (at.st_uid == 0) owner = {0, 0};
  auto pins = PinDirectory::open(options.directory, owner);
  if (!pins) return tl::unexpected(pins.error());
  const auto mount = find_cgroup_mount();
  if (!mount) return tl::unexpected(mount.error());
  std::vector<std::string> lines;
  PinnedPrograms programs(*pins);
  Result<void> failed;
  walk_cgroups(*mount, [&](const std::string& path, std::uint64_t id) {
    const auto fd = open_cgroup(*mount, path, id);
    if (!fd) return;  // gone meanwhile
    const auto lifted = lift(fd->get(), programs);
    if (!lifted) failed = fail(lifted.error().kind, lifted.error().what + " " + path, lifted.error().error_number);
    if (lifted && *lifted > 0) lines.push_back("lifted enforcement of " + path);
  });
  if (!failed) return tl::unexpected(failed.error());
  auto done = pins->remove_tree("");
  if (done) done = pins->remove_itself();
  if (!done) return tl::unexpected(done.error());
  lines.push_back("removed " + options.directory);
  return lines;
}

}  // namespace namewall::bpf
