#include "agent/host/proxy_namespaces.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <linux/sock_diag.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "agent/host/netns_sockets.h"
#include "bpf/enforcer.h"

namespace namewall::agent {
namespace {

std::optional<std::uint64_t> inode_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_ino;
}

std::string netns_path(std::uint32_t pid) { return "/proc/" + std::to_string(pid) + "/ns/net"; }

// Making and configuring such a namespace needs a capability of the host.
bool belongs_to_own_user_namespace(int netns) {
  const FileDescriptor owner(::ioctl(netns, NS_GET_USERNS));
  struct stat status {};
  const auto own = inode_of("/proc/self/ns/user");
  return owner && ::fstat(owner.get(), &status) == 0 && own && status.st_ino == *own;
}

std::string cgroup_text_of(std::uint32_t pid) {
  const FileDescriptor file(::open(("/proc/" + std::to_string(pid) + "/cgroup").c_str(), O_RDONLY | O_CLOEXEC));
  char text[4096];
  const ssize_t count = file ? ::read(file.get(), text, sizeof text) : -1;
  return count <= 0 ? std::string() : std::string(text, static_cast<std::size_t>(count));
}

// One process for each other network namespace and cgroup.
std::vector<ProcessInNetns> processes_elsewhere(bool& is_complete) {
  std::vector<ProcessInNetns> found;
  const auto own = inode_of("/proc/self/ns/net");
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), &::closedir);
  if (!own || !proc) {
    is_complete = false;
    return found;
  }
  std::set<std::pair<std::uint64_t, std::string>> seen;
  std::size_t looked_at = 0;
  while (const dirent* entry = ::readdir(proc.get())) {
    const std::string_view name = entry->d_name;
    std::uint32_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    if (++looked_at > kMaxScannedProcesses || found.size() == kMaxScannedEntries) {
      is_complete = false;
      break;
    }
    const auto inode = inode_of(netns_path(pid));
    if (!inode || *inode == *own) continue;
    if (seen.emplace(*inode, cgroup_text_of(pid)).second) found.push_back({*inode, pid});
  }
  return found;
}

// nullopt: not one to be served, or nobody is left in it.
std::optional<std::uint64_t> cookie_of_netns(const ProcessInNetns& process) {
  const FileDescriptor netns(::open(netns_path(process.pid).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!netns || ::fstat(netns.get(), &status) != 0 || status.st_ino != process.inode ||
      !belongs_to_own_user_namespace(netns.get()) || ::setns(netns.get(), CLONE_NEWNET) != 0) {
    return std::nullopt;
  }
  const auto cookie = bpf::netns_cookie();
  if (!cookie) return std::nullopt;
  return *cookie;
}

}  // namespace

Result<NetnsProxy> open_netns_proxy(std::uint32_t pid, std::uint64_t cookie,
                                    std::span<const ResolverAddress> resolvers) {
  if (auto entered = enter_netns_of(pid, cookie); !entered) return tl::unexpected(entered.error());
  NetnsProxy proxy;
  proxy.netns.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!proxy.netns) return fail_errno(errno, "cannot open a network namespace");
  if (!belongs_to_own_user_namespace(proxy.netns.get())) {
    return fail(ErrorKind::kPermission, "the network namespace belongs to another user namespace");
  }
  proxy.diagnosis.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  if (!proxy.diagnosis) return fail_errno(errno, "cannot open NETLINK_SOCK_DIAG");
  for (const ResolverAddress& resolver : resolvers) proxy.places.push_back(open_proxy_sockets(resolver));
  return proxy;
}

Result<std::vector<FileDescriptor>> make_netns_sockets(int netns, std::uint64_t cookie, const SocketCounts& counts) {
  if (!belongs_to_own_user_namespace(netns)) {
    return fail(ErrorKind::kPermission, "the network namespace belongs to another user namespace");
  }
  if (::setns(netns, CLONE_NEWNET) != 0) return fail_errno(errno, "cannot enter a network namespace");
  const auto entered = bpf::netns_cookie();
  if (!entered) return tl::unexpected(entered.error());
  if (*entered != cookie) return fail(ErrorKind::kConflict, "the descriptor is of another network namespace");
  std::vector<FileDescriptor> sockets;
  const std::pair<std::pair<int, int>, std::uint32_t> kinds[] = {{{AF_INET, SOCK_DGRAM}, counts.udp4},
                                                                 {{AF_INET, SOCK_STREAM}, counts.tcp4},
                                                                 {{AF_INET6, SOCK_DGRAM}, counts.udp6},
                                                                 {{AF_INET6, SOCK_STREAM}, counts.tcp6}};
  for (const auto& [kind, count] : kinds) {
    for (std::uint32_t made = 0; made < count; ++made) {
      sockets.emplace_back(::socket(kind.first, kind.second | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (!sockets.back()) return fail_errno(errno, "cannot make a socket towards a resolver");
    }
  }
  return sockets;
}

Result<NetnsScan> scan_netns_processes() {
  NetnsScan scan;
  const std::vector<ProcessInNetns> processes = processes_elsewhere(scan.is_complete);
  std::map<std::uint64_t, std::optional<std::uint64_t>> cookies;  // by inode
  for (const ProcessInNetns& process : processes) {
    auto& cookie = cookies[process.inode];
    if (!cookie) cookie = cookie_of_netns(process);
    if (cookie) scan.found.push_back({*cookie, process});
  }
  return scan;
}

std::uint64_t check_netns_processes(std::span<const ProcessInNetns> processes) {
  std::uint64_t there = 0;
  for (std::size_t i = 0; i < std::min(processes.size(), kMaxCheckedProcesses); ++i) {
    if (inode_of(netns_path(processes[i].pid)) == processes[i].inode) there |= std::uint64_t{1} << i;
  }
  return there;
}

}  // namespace namewall::agent
