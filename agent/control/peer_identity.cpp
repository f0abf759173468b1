#include "agent/control/peer_identity.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "agent/cgroup_tree.h"
#include "agent/mount_table.h"
#include "agent/text_file.h"

namespace namewall::agent {
namespace {

#ifdef SO_PEERPIDFD
constexpr int kPeerPidfd = SO_PEERPIDFD;
#else
constexpr int kPeerPidfd = 77;  // include/uapi/asm-generic/socket.h, Linux 6.5
#endif

class KernelPeerIdentity : public PeerIdentity {
 public:
  KernelPeerIdentity(const ucred& credentials, std::vector<gid_t> groups, FileDescriptor pidfd,
                     const std::vector<Mount>& mounts)
      : credentials_(credentials), groups_(std::move(groups)), pidfd_(std::move(pidfd)), mounts_(mounts) {}

  std::uint32_t uid() const override { return credentials_.uid; }
  bool is_member_of(std::uint32_t gid) const override {
    return credentials_.gid == gid || std::ranges::find(groups_, gid) != groups_.end();
  }
  Result<Peer> look() const override;

 private:
  bool is_alive() const {
    pollfd ended{pidfd_.get(), POLLIN, 0};
    return pidfd_ && ::poll(&ended, 1, 0) == 0;
  }

  ucred credentials_;
  std::vector<gid_t> groups_;
  FileDescriptor pidfd_;  // none: the process was gone, or is in a place that this one cannot see
  const std::vector<Mount>& mounts_;
};

// /proc/PID/exe is for those who may trace the process; what it calls itself is for everybody.
std::string program_of(const std::string& process) {
  std::array<char, 4096> executable{};
  const ssize_t length = ::readlink((process + "/exe").c_str(), executable.data(), executable.size());
  if (length > 0) return {executable.data(), static_cast<std::size_t>(length)};
  constexpr std::size_t kLongest = 256;
  const std::string line = read_text_file(process + "/cmdline").value_or("");
  const std::string first = line.substr(0, std::min(line.find('\0'), kLongest));
  return first.empty() ? "" : "called " + first;
}

// Its cgroup is where it was when its first thread ended, whatever became of the others.
bool has_lost_first_thread(const std::string& process) {
  const std::string status = read_text_file(process + "/stat").value_or("");
  const std::size_t name_end = status.rfind(") ");
  return name_end == std::string::npos || status[name_end + 2] == 'Z' || status[name_end + 2] == 'X';
}

Result<Peer> KernelPeerIdentity::look() const {
  Peer peer;
  peer.pid = static_cast<std::uint32_t>(credentials_.pid);
  peer.uid = credentials_.uid;
  peer.gid = credentials_.gid;
  peer.pidfd = pidfd_.get();
  const std::string process = "/proc/" + std::to_string(credentials_.pid);
  const Result<std::string> proc_cgroup = read_text_file(process + "/cgroup");
  peer.executable = program_of(process);
  const bool is_zombie = has_lost_first_thread(process);
  // Asked last: what was read before is of the process that connected only if that one still lives.
  if (!is_alive()) {
    return fail(ErrorKind::kPermission,
                "the process that opened this connection is gone, so that nobody can tell "
                "which workload asks");
  }
  const std::optional<std::string> cgroup = proc_cgroup ? parse_own_cgroup(*proc_cgroup) : std::nullopt;
  // "/../x": it is outside the cgroup namespace of this process, where no path tells what holds it.
  if (!cgroup || is_zombie || *cgroup == "/.." || cgroup->starts_with("/../")) {
    return fail(ErrorKind::kPermission,
                "the cgroup of process " + std::to_string(credentials_.pid) + " cannot be told");
  }
  peer.cgroup = *cgroup;
  struct stat status {};
  const std::optional<std::string> directory = find_cgroup_directory(mounts_, *cgroup);
  if (directory && ::stat(directory->c_str(), &status) == 0) peer.cgroup_id = status.st_ino;
  return peer;
}

Result<std::vector<gid_t>> groups_of(int connection) {
  std::vector<gid_t> groups(32);
  socklen_t size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int got = ::getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  if (got != 0 && errno == ERANGE) {
    groups.resize(size / sizeof(gid_t));
    got = ::getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  }
  if (got != 0) return fail_errno(errno, "cannot ask for the groups of a peer");
  groups.resize(size / sizeof(gid_t));
  return groups;
}

FileDescriptor pidfd_of(int connection, pid_t pid) {
  int fd = -1;
  socklen_t size = sizeof fd;
  if (::getsockopt(connection, SOL_SOCKET, kPeerPidfd, &fd, &size) == 0) return FileDescriptor(fd);
  if (errno != ENOPROTOOPT || pid <= 0) return {};
  return FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

}  // namespace

Result<KernelPeerSource> KernelPeerSource::open() {
  const Result<std::string> mountinfo = read_text_file("/proc/self/mountinfo");
  if (!mountinfo) return tl::unexpected(mountinfo.error());
  KernelPeerSource source;
  source.mounts_ = parse_mountinfo(*mountinfo);
  std::erase_if(source.mounts_, [](const Mount& mount) { return mount.fs_type != "cgroup2"; });
  return source;
}

Result<std::unique_ptr<PeerIdentity>> KernelPeerSource::identify(int connection) const {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return fail_errno(errno, "cannot ask who connected");
  }
  Result<std::vector<gid_t>> groups = groups_of(connection);
  if (!groups) return tl::unexpected(groups.error());
  return std::make_unique<KernelPeerIdentity>(credentials, *std::move(groups), pidfd_of(connection, credentials.pid),
                                              mounts_);
}

}  // namespace namewall::agent
