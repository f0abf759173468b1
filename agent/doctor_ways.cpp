#include "agent/doctor_ways.h"

#include <glob.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "agent/cgroup_tree.h"
#include "agent/doctor_child.h"
#include "agent/hygiene.h"
#include "agent/text_file.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

using State = WayAround::State;

constexpr uid_t kNobody = 65534;

std::string trimmed(const std::string& path) {
  const auto text = read_text_file(path);
  return text ? text->substr(0, text->find('\n')) : "";
}

// Whether the kernel knows the family at all: a refusal for want of a right still means that it does.
bool has_family(int family, int type) {
  const auto answer = ask_child([=] { return socket(family, type, 0) < 0 && errno == EAFNOSUPPORT ? "absent" : ""; });
  return answer && answer->empty();
}

WayAround packet_sockets() {
  if (!has_family(AF_PACKET, SOCK_RAW)) return {"af-packet", State::kAbsent, "this kernel has no AF_PACKET"};
  return {
      "af-packet", State::kClosed,
      "AF_PACKET writes frames that no cgroup hook sees; it needs CAP_NET_RAW, which run takes away, and run's system "
      "call filter refuses the family (--keep families opens it)."};
}

WayAround vsock() {
  if (!has_family(AF_VSOCK, SOCK_STREAM)) return {"vsock", State::kAbsent, "this kernel has no AF_VSOCK"};
  return {"vsock", State::kClosed,
          "AF_VSOCK reaches the hypervisor and its other guests; run's system call filter refuses the family "
          "(--keep families opens it)."};
}

WayAround io_uring() {
  const auto answer = ask_child([] {
    return syscall(SYS_io_uring_setup, 1, nullptr) < 0 && (errno == ENOSYS || errno == EPERM) ? "absent" : "";
  });
  if (answer && !answer->empty()) return {"io-uring", State::kAbsent, "this kernel does not offer it"};
  return {
      "io-uring", State::kClosed,
      "makes sockets of any family past a filter on socket(2); run's filter refuses io_uring_setup (--keep io_uring "
      "opens it)."};
}

// A process without rights that gets CAP_NET_ADMIN in a network namespace of its own.
WayAround net_admin() {
  const auto answer = ask_child([] {
    if (setgid(kNobody) != 0 || setuid(kNobody) != 0) return "cannot become nobody";
    return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? "" : "refused";
  });
  const bool anybody = answer && answer->empty();
  return {
      "net-admin-translation", State::kClosed,
      std::string("CAP_NET_ADMIN in a network namespace with a way out rewrites packets after every hook; run takes it "
                  "away. ") +
          (anybody ? "Any user can make a network namespace here, but one without a way out."
                   : "Users cannot make network namespaces here.")};
}

WayAround delegated_cgroup() {
  const auto own = find_own_cgroup_directory();
  struct stat status {};
  const bool delegated = own && stat((*own + "/cgroup.procs").c_str(), &status) == 0 && status.st_uid != 0;
  return {"left-cgroup", State::kClosed,
          std::string("who may write cgroup.procs of an outer cgroup leaves; run shows the command cgroup file systems "
                      "read-only (--keep cgroupfs opens it). ") +
              (delegated ? "This cgroup belongs to uid " + std::to_string(status.st_uid) +
                               ": processes of that uid "
                               "outside a run can move the command."
                         : "This cgroup belongs to root.")};
}

struct Helper {
  const char* id;
  const char* what;
};

std::optional<Helper> helper_of(Keep keep) {
  switch (keep) {
    case Keep::kNscd:
      return Helper{"nscd", "looks names up from its own cgroup"};
    case Keep::kResolved:
      return Helper{"resolved", "looks names up from its own cgroup (varlink)"};
    case Keep::kAvahi:
      return Helper{"avahi", "looks names up from its own cgroup"};
    case Keep::kSssd:
      return Helper{"sssd", "connects to directory servers from its own cgroup"};
    case Keep::kDocker:
      return Helper{"docker", "starts containers outside the workload"};
    case Keep::kPodman:
      return Helper{"podman", "starts containers outside the workload"};
    case Keep::kContainerd:
      return Helper{"containerd", "starts containers outside the workload"};
    case Keep::kSystemBus:
      return Helper{"dbus", "has systemd and others act from their own cgroups"};
    default:
      return std::nullopt;
  }
}

bool exists(const std::string& pattern) {
  glob_t matches{};
  const bool found = glob(pattern.c_str(), GLOB_NOSORT, nullptr, &matches) == 0 && matches.gl_pathc != 0;
  globfree(&matches);
  return found;
}

// Sockets of helpers that act for their clients; run covers those it knows.
void add_helpers(std::vector<WayAround>& out) {
  std::map<Keep, std::string> present;
  for (const HiddenPath& hidden : hidden_paths()) {
    std::string& first = present[hidden.keep];
    if (first.empty() && exists(hidden.path)) first = hidden.path;
  }
  for (const auto& [keep, path] : present) {
    const auto helper = helper_of(keep);
    if (!helper) continue;
    const std::string id = std::string("helper-") + helper->id;
    if (path.empty()) {
      out.push_back({id, State::kAbsent, "not on this host"});
    } else {
      out.push_back(
          {id, State::kClosed, path + " " + helper->what + "; run covers it (--keep " + helper->id + " opens it)."});
    }
  }
}

// Listening sockets in the abstract namespace have no file that could be covered.
WayAround abstract_sockets() {
  const auto text = read_text_file("/proc/net/unix");
  std::set<std::string> names;
  std::istringstream lines(text ? *text : "");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string field, flags;
    for (int i = 0; i < 4 && fields >> field; ++i) flags = field;
    const std::size_t at = line.find(" @");
    // flags 00010000: __SO_ACCEPTCON, a listener (proc_net_unix)
    if (at != std::string::npos && flags == "00010000") names.insert(line.substr(at + 1));
  }
  if (names.empty())
    return {"abstract-sockets", State::kAbsent, "no abstract unix socket listens in this network namespace"};
  return {"abstract-sockets", State::kOpen,
          "abstract unix sockets have no file to cover: " + std::to_string(names.size()) +
              " listen in this network namespace, "
              "such as " +
              *names.begin() + "; who serves them may act for the command."};
}

WayAround terminal_input() {
  const bool kernel_refuses = trimmed("/proc/sys/dev/tty/legacy_tiocsti") == "0";
  return {
      "terminal-input", State::kClosed,
      std::string("typing into a shared terminal (TIOCSTI, TIOCLINUX) has your shell run that outside; run's filter "
                  "refuses both (--keep tty opens it). ") +
          (kernel_refuses ? "This kernel refuses TIOCSTI itself." : "This kernel allows TIOCSTI.")};
}

}  // namespace

std::vector<WayAround> find_ways_around() {
  std::vector<WayAround> out = {
      {"root-inside", State::kClosed,
       "uid 0, even without capabilities, owns the host's files and leaves by cron or an outer cgroup; run starts the "
       "command as the invoking user (--user root opens it)."},
      packet_sockets(),
      vsock(),
      io_uring(),
      net_admin(),
      delegated_cgroup(),
  };
  add_helpers(out);
  out.push_back(abstract_sockets());
  out.push_back(terminal_input());
  out.push_back(
      {"passed-socket", State::kOpen,
       "a socket made outside and passed in over a unix socket keeps its own cgroup: no hook of the workload sees "
       "it. Whoever passes it must be willing."});
  out.push_back(
      {"same-user", State::kOpen,
       "processes of the same user outside, and files that they obey (shell start-up, crontab, ssh keys, a tmux "
       "socket), can act for the command; --user with a user of its own closes it."});
  out.push_back(
      {"guests-and-netstacks", State::kOpen,
       "gVisor's netstack, Kata and Firecracker guests send packets without sockets of the workload; they need "
       "devices or capabilities that run does not give, unless a runtime outside opens them."});
  out.push_back(
      {"group-membership", State::kOpen,
       "joining a multicast group makes the kernel send a report on the link; nothing of the command's is in it but "
       "the group's address."});
  out.push_back(
      {"shared-address", State::kOpen,
       "two names on one address cannot be told apart below TLS: an allowed name on a shared host opens what else "
       "is served there."});
  return out;
}

}  // namespace namewall::agent
