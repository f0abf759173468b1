#include "agent/host/netns_sockets.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <set>
#include <string>

#include "agent/cgroup_tree.h"
#include "agent/host/cgroup_members.h"
#include "agent/host/held_descriptors.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace namewall::agent {
namespace {

Result<std::uint64_t> cookie_of_thread() {
  const FileDescriptor probe(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe) return fail_errno(errno, "cannot open a socket");
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (getsockopt(probe.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) != 0) {
    return fail_errno(errno, "cannot tell this network namespace from others (SO_NETNS_COOKIE)");
  }
  return cookie;
}

bool is_below_root_cgroup(int process_fd) {
  const FileDescriptor file(openat(process_fd, "cgroup", O_RDONLY | O_CLOEXEC));
  char text[8192];
  const ssize_t count = file ? read(file.get(), text, sizeof text) : -1;
  if (count <= 0) return false;
  const auto path = parse_own_cgroup(std::string_view(text, static_cast<std::size_t>(count)));
  return path && *path != "/";
}

}  // namespace

Result<NetnsSockets> open_netns_sockets() {
  auto answers = open_refusal_sockets();
  if (!answers) return tl::unexpected(answers.error());
  NetnsSockets sockets;
  sockets.answers = std::move(*answers);
  sockets.diagnosis = FileDescriptor(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  if (!sockets.diagnosis) return fail_errno(errno, "cannot open NETLINK_SOCK_DIAG");
  return sockets;
}

Result<void> enter_netns_of(std::uint32_t pid, std::uint64_t cookie) {
  const std::string process = "process " + std::to_string(pid);
  const FileDescriptor process_fd(open(("/proc/" + std::to_string(pid)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!process_fd) return fail(ErrorKind::kNotFound, process + " has ended", errno);
  if (!is_below_root_cgroup(process_fd.get())) {
    return fail(ErrorKind::kConflict, process + " is in no cgroup below the root");
  }
  const FileDescriptor netns(openat(process_fd.get(), "ns/net", O_RDONLY | O_CLOEXEC));
  if (!netns) return fail_errno(errno, "cannot open the network namespace of " + process);
  if (setns(netns.get(), CLONE_NEWNET) != 0) {
    return fail_errno(errno, "cannot enter the network namespace of " + process);
  }
  const auto entered = cookie_of_thread();
  if (!entered) return tl::unexpected(entered.error());
  if (*entered != cookie) return fail(ErrorKind::kConflict, process + " is in another network namespace by now");
  return {};
}

Result<NetnsList> list_network_namespaces(int cgroup_fd) {
  auto members = list_cgroup_members(cgroup_fd, kMaxListedProcesses);
  if (!members) return tl::unexpected(members.error());
  NetnsList list;
  list.is_complete = members->is_complete;
  std::map<ino_t, std::uint32_t> process_of;
  HeldDescriptorReader held(kMaxHeldDescriptors);
  std::map<std::uint64_t, std::uint32_t> ip_sockets_of;
  for (const std::uint32_t pid : members->pids) {
    const FileDescriptor process_fd(open(("/proc/" + std::to_string(pid)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!process_fd) continue;
    struct stat status {};
    if (fstatat(process_fd.get(), "ns/net", &status, 0) != 0) {
      if (errno != ENOENT && errno != ESRCH) list.is_complete = false;  // those: it has ended
      continue;
    }
    process_of.emplace(status.st_ino, pid);
    const HeldDescriptors descriptors = held.read(pid, process_fd.get());
    if (!descriptors.is_complete) list.is_complete = false;
    for (const HeldSocket& socket : descriptors.sockets) {
      if (socket.family != AF_INET && socket.family != AF_INET6) continue;
      ++ip_sockets_of[socket.netns_cookie];
      if (socket.type == SOCK_RAW) ++list.raw_sockets;
    }
  }
  std::set<std::uint64_t> cookies;
  for (const auto& [inode, pid] : process_of) {
    if (list.namespaces.size() == kMaxListedNamespaces) {
      list.is_complete = false;
      break;
    }
    const FileDescriptor netns(open(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
    if (!netns) continue;
    if (setns(netns.get(), CLONE_NEWNET) != 0) {
      list.is_complete = false;
      continue;
    }
    const auto cookie = cookie_of_thread();
    if (!cookie) return tl::unexpected(cookie.error());
    if (cookies.insert(*cookie).second) list.namespaces.push_back({pid, *cookie});
  }
  for (const auto& [cookie, count] : ip_sockets_of) {
    if (!cookies.contains(cookie)) list.sockets_elsewhere += count;
  }
  return list;
}

}  // namespace namewall::agent
