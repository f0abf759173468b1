#include "agent/host/process_facts.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <optional>
#include <tuple>

#include "agent/host/cgroup_members.h"
#include "agent/host/held_descriptors.h"
#include "agent/host/netns_sockets.h"
#include "agent/host/process_rights.h"
#include "agent/host/socket_list.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kEngineSockets[] = {
    "run/docker.sock",    "var/run/docker.sock",      "run/podman/podman.sock",     "run/containerd/containerd.sock",
    "run/crio/crio.sock", "run/libvirt/libvirt-sock", "run/libvirt/virtqemud-sock", "run/buildkit/buildkitd.sock"};
constexpr const char* kUserEngineSockets[] = {"podman/podman.sock", "docker.sock"};  // below run/user/UID/

constexpr std::uint64_t bit(int capability) { return std::uint64_t{1} << capability; }

ino_t namespace_of(int process_fd, const char* name) {
  struct stat status {};
  return fstatat(process_fd, name, &status, 0) == 0 ? status.st_ino : 0;
}

std::string read_at(int directory_fd, const char* name) {
  const FileDescriptor fd(openat(directory_fd, name, O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> block{};
  ssize_t count = 0;
  while (fd && text.size() < (1u << 20) && (count = read(fd.get(), block.data(), block.size())) > 0) {
    text.append(block.data(), static_cast<std::size_t>(count));
  }
  return text;
}

// Resolved inside `root_fd`, symbolic links too: never a path of ours.
FileDescriptor open_in_root(int root_fd, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return FileDescriptor(static_cast<int>(syscall(SYS_openat2, root_fd, path.c_str(), &how, sizeof how)));
}

bool may_connect(int root_fd, const std::string& path, const ProcessRights& rights) {
  const FileDescriptor socket = open_in_root(root_fd, path);
  struct stat status {};
  if (!socket || fstat(socket.get(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  if ((rights.effective & bit(CAP_DAC_OVERRIDE)) != 0) return true;
  if (!is_permitted(rights, status, 2)) return false;
  const FileDescriptor directory = open_in_root(root_fd, path.substr(0, path.rfind('/')));
  return directory && fstat(directory.get(), &status) == 0 &&
         (is_permitted(rights, status, 1) || (rights.effective & bit(CAP_DAC_READ_SEARCH)) != 0);
}

// The outer cgroups' cgroup.procs, up to the root of the mount.
std::vector<struct stat> read_outer_cgroups(int cgroup_fd) {
  std::vector<struct stat> out;
  std::string up = "..";
  for (int depth = 0; depth < kMaxCgroupDepth; ++depth, up += "/..") {
    struct stat procs {};
    const FileDescriptor directory(openat(cgroup_fd, up.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || !check_cgroup_directory(directory.get()) ||
        fstatat(directory.get(), "cgroup.procs", &procs, 0) != 0) {
      break;
    }
    if (!out.empty() && out.back().st_ino == procs.st_ino) break;
    out.push_back(procs);
  }
  return out;
}

class Inspection {
 public:
  Inspection(int cgroup_fd, CgroupMembers members, std::uint32_t helper)
      : members_(std::move(members)),
        helper_(helper),
        outer_(read_outer_cgroups(cgroup_fd)),
        own_(open_process("self")) {}

  WorkloadFacts run() {
    if (!members_.is_complete) note("a part of the cgroup's processes");
    std::size_t looked_at = 0;
    for (const std::uint32_t pid : members_.pids) {
      if (Clock::now() > deadline_) {
        note(std::to_string(members_.pids.size() - looked_at) + " of " + std::to_string(members_.pids.size()) +
             " processes (time is over)");
        break;
      }
      inspect(pid);
      ++looked_at;
    }
    find_foreign_sockets();
    return std::move(facts_);
  }

 private:
  using Places = std::tuple<ino_t, uid_t, gid_t, std::vector<gid_t>, std::uint64_t>;

  static FileDescriptor open_process(const std::string& pid) {
    return FileDescriptor(open(("/proc/" + pid).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void note(std::string gap) {
    if (std::ranges::find(facts_.not_looked_at, gap) == facts_.not_looked_at.end()) {
      facts_.not_looked_at.push_back(std::move(gap));
    }
  }

  void inspect(std::uint32_t pid) {
    const FileDescriptor process = open_process(std::to_string(pid));
    if (!process) return;  // it has ended
    const auto rights = parse_process_rights(read_at(process.get(), "status"));
    if (!rights || (rights->effective != 0 && is_probe(pid))) return;
    ProcessFacts facts;
    facts.pid = pid;
    facts.executable = read_executable(process.get());
    facts.capabilities = read_capabilities(process.get(), *rights);
    facts.engine_sockets = find_engine_sockets(process.get(), *rights);
    facts.may_leave = may_leave(process.get(), *rights);
    const HeldDescriptors held = descriptors_.read(pid, process.get());
    if (!held.is_complete) note("a part of the open descriptors");
    facts.devices = held.devices;
    std::ranges::sort(facts.devices);
    facts.devices.erase(std::unique(facts.devices.begin(), facts.devices.end()), facts.devices.end());
    for (const HeldSocket& socket : held.sockets) {
      if (socket.family == AF_PACKET) ++facts.packet_sockets;
      if (socket.family == AF_VSOCK) ++facts.vsock_sockets;
      if (socket.family == AF_INET || socket.family == AF_INET6) {
        ip_sockets_.emplace(static_cast<std::uint32_t>(socket.inode), facts_.processes.size());
      }
    }
    netns_.emplace(namespace_of(process.get(), "ns/net"), pid);
    facts_.processes.push_back(std::move(facts));
  }

  // A child of the helper's child.
  bool is_probe(std::uint32_t pid) const {
    const auto parent_of = [](std::uint32_t child) -> std::uint32_t {
      const FileDescriptor process = open_process(std::to_string(child));
      const std::string status = process ? read_at(process.get(), "status") : "";
      const std::size_t at = status.find("\nPPid:");
      return at == std::string::npos ? 0
                                     : static_cast<std::uint32_t>(std::strtoul(status.c_str() + at + 6, nullptr, 10));
    };
    const std::uint32_t parent = helper_ == 0 ? 0 : parent_of(pid);
    return parent != 0 && parent_of(parent) == helper_;
  }

  static std::string read_executable(int process_fd) {
    std::array<char, 4096> path{};
    const ssize_t length = readlinkat(process_fd, "exe", path.data(), path.size());
    if (length <= 0) return {};
    const std::string text(path.data(), static_cast<std::size_t>(length));
    return text.substr(text.rfind('/') + 1).substr(0, 64);
  }

  bool shares(int process_fd, const char* name) const {
    return namespace_of(process_fd, name) == namespace_of(own_.get(), name);
  }

  std::uint64_t read_capabilities(int process_fd, const ProcessRights& rights) const {
    if (shares(process_fd, "ns/user")) {
      std::uint64_t counts = rights.effective;
      if (!shares(process_fd, "ns/pid")) counts &= ~bit(CAP_SYS_PTRACE);
      if (!shares(process_fd, "ns/mnt")) counts &= ~bit(CAP_DAC_OVERRIDE);
      return counts;
    }
    const FileDescriptor netns(openat(process_fd, "ns/net", O_RDONLY | O_CLOEXEC));
    const FileDescriptor owner(netns ? ioctl(netns.get(), NS_GET_USERNS) : -1);
    struct stat status {};
    const bool owns = owner && fstat(owner.get(), &status) == 0 && status.st_ino == namespace_of(process_fd, "ns/user");
    return owns ? rights.effective & (bit(CAP_NET_ADMIN) | bit(CAP_NET_RAW)) : 0;
  }

  std::vector<std::string> find_engine_sockets(int process_fd, const ProcessRights& rights) {
    const Places places{namespace_of(process_fd, "ns/mnt"), rights.uid, rights.gid, rights.groups, rights.effective};
    const auto known = engine_sockets_.find(places);
    if (known != engine_sockets_.end()) return known->second;
    std::vector<std::string> found;
    const FileDescriptor root(openat(process_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const auto look = [&](const std::string& path) {
      if (root && may_connect(root.get(), path, rights)) found.push_back("/" + path);
    };
    for (const char* path : kEngineSockets) look(path);
    for (const char* name : kUserEngineSockets) look("run/user/" + std::to_string(rights.uid) + "/" + name);
    // /var/run is /run nearly everywhere: one socket, one finding.
    const auto is_run = [&](const std::string& path) { return path == "/var/run/docker.sock"; };
    if (std::ranges::find(found, "/run/docker.sock") != found.end()) std::erase_if(found, is_run);
    engine_sockets_.emplace(places, found);
    return found;
  }

  bool may_leave(int process_fd, const ProcessRights& rights) {
    const bool permitted =
        std::ranges::any_of(outer_, [&](const struct stat& procs) { return is_permitted(rights, procs, 2); });
    if (!permitted) return false;
    const ino_t mounts = namespace_of(process_fd, "ns/mnt");
    const auto known = writable_cgroups_.find(mounts);
    if (known != writable_cgroups_.end()) return known->second;
    return writable_cgroups_[mounts] = has_writable_cgroup_mount(read_at(process_fd, "mountinfo"));
  }

  void find_foreign_sockets() {
    for (const auto& [inode, pid] : netns_) {
      const FileDescriptor netns(open(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
      if (!netns) continue;
      if (Clock::now() > deadline_ || setns(netns.get(), CLONE_NEWNET) != 0) {
        note("the sockets of a network namespace");
        continue;
      }
      const auto sockets = open_netns_sockets();
      const auto listed = sockets ? list_sockets(sockets->diagnosis.get(), {}) : Result<SocketList>(SocketList{});
      if (!sockets || !listed) {
        note("the sockets of a network namespace");
        continue;
      }
      for (const Flow& flow : listed->flows) {
        const auto held = ip_sockets_.find(flow.inode);
        if (held == ip_sockets_.end() || members_.cgroup_ids.contains(flow.cgroup_id)) continue;
        ++facts_.processes[held->second].foreign_sockets;
      }
    }
  }

  CgroupMembers members_;
  std::uint32_t helper_;
  std::vector<struct stat> outer_;
  FileDescriptor own_;
  Clock::time_point deadline_ = Clock::now() + kInspectionBudget;
  HeldDescriptorReader descriptors_{kMaxHeldDescriptors};
  std::map<Places, std::vector<std::string>> engine_sockets_;
  std::map<ino_t, bool> writable_cgroups_;           // by mount namespace
  std::map<ino_t, std::uint32_t> netns_;             // a process of each
  std::map<std::uint32_t, std::size_t> ip_sockets_;  // inode, index of the process
  WorkloadFacts facts_;
};

}  // namespace

Result<WorkloadFacts> read_workload_facts(int cgroup_fd, std::uint32_t left_out, std::uint32_t helper) {
  auto members = list_cgroup_members(cgroup_fd, kMaxInspectedProcesses);
  if (!members) return tl::unexpected(members.error());
  std::erase(members->pids, left_out);
  return Inspection(cgroup_fd, std::move(*members), helper).run();
}

}  // namespace namewall::agent
