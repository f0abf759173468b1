#include "agent/doctor_host.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "agent/cgroup_child.h"
#include "agent/doctor_child.h"
#include "agent/hygiene.h"
#include "agent/seccomp_filter.h"
#include "agent/socket_destroy.h"
#include "agent/text_file.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {
namespace {

using State = DoctorCheck::State;

struct NeededCapability {
  int number;
  const char* id;
  const char* what_for;
  State without;
};

constexpr NeededCapability kCapabilities[] = {
    {CAP_BPF, "cap_bpf", "load programs, make maps", State::kMissing},
    {CAP_PERFMON, "cap_perfmon", "load programs that follow kernel pointers", State::kMissing},
    {CAP_NET_ADMIN, "cap_net_admin", "load programs of cgroup hooks, ask what is attached", State::kMissing},
    {CAP_SYS_ADMIN, "cap_sys_admin", "give the command a mount namespace of its own", State::kMissing},
    {CAP_SETUID, "cap_setuid", "start the command as the invoking user", State::kMissing},
    {CAP_SETGID, "cap_setgid", "start the command with the user's groups", State::kMissing},
    {CAP_SETPCAP, "cap_setpcap", "empty the command's capability bounding set", State::kMissing},
    {CAP_DAC_OVERRIDE, "cap_dac_override", "make a cgroup below one that another user owns", State::kOptional},
    {CAP_NET_RAW, "cap_net_raw", "answer refused lookups, so that musl and dig do not wait", State::kMissing},
};

bool has_capability(int number) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) return false;
  return (data[static_cast<std::size_t>(number / 32)].effective >> (number % 32) & 1) != 0;
}

std::string first_line(const std::string& path) {
  const auto text = read_text_file(path);
  return text ? text->substr(0, text->find('\n')) : "";
}

DoctorCheck check_of(const char* id, const Result<std::string>& problem, State otherwise, const char* holds) {
  if (problem && problem->empty()) return {"host", id, State::kHolds, holds};
  return {"host", id, otherwise, problem ? *problem : problem.error().message()};
}

std::string error_text(const std::string& what) { return what + ": " + std::strerror(errno); }

std::string try_filter() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return error_text("no_new_privs");
  if (const auto applied = apply_seccomp_filter(build_seccomp_filter(KeepSet{})); !applied)
    return applied.error().message();
  if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EAFNOSUPPORT) return "AF_PACKET got past the filter";
  if (syscall(SYS_bpf, 0, nullptr, 0) >= 0 || errno != EPERM) return "bpf(2) got past the filter";
  if (syscall(SYS_io_uring_setup, 1, nullptr) >= 0 || errno != ENOSYS) return "io_uring got past the filter";
  return {};
}

std::string try_hygiene() {
  const auto applied = apply_hygiene(KeepSet{});
  return applied ? "" : applied.error().message();
}

// Nothing in `run` ends live connections yet: a policy change will.
DoctorCheck check_socket_destroy() {
  const auto destroyed = try_socket_destroy();
  if (destroyed) return {"host", "socket_destroy", State::kHolds, "ends a live connection at once"};
  return {"host", "socket_destroy", State::kOptional, destroyed.error().message()};
}

DoctorCheck check_jit() {
  const std::string value = first_line("/proc/sys/net/core/bpf_jit_enable");
  if (!value.empty() && value != "0") return {"host", "bpf_jit", State::kHolds, ""};
  return {"host", "bpf_jit", State::kOptional,
          "programs are interpreted: correct, but slower (net.core.bpf_jit_enable)"};
}

DoctorCheck check_unprivileged_bpf() {
  const std::string value = first_line("/proc/sys/kernel/unprivileged_bpf_disabled");
  if (!value.empty() && value != "0")
    return {"host", "unprivileged_bpf", State::kHolds, "off for users without CAP_BPF"};
  return {"host", "unprivileged_bpf", State::kOptional,
          "any user may load programs (kernel.unprivileged_bpf_disabled = 0); run's filter refuses bpf(2)"};
}

// "none [integrity] confidentiality": the brackets mark the mode.
DoctorCheck check_lockdown() {
  const std::string modes = first_line("/sys/kernel/security/lockdown");
  const std::size_t from = modes.find('['), to = modes.find(']');
  if (from == std::string::npos || to == std::string::npos || to < from) {
    return {"host", "lockdown", State::kHolds, "not shown by this kernel"};
  }
  return {"host", "lockdown", State::kHolds, modes.substr(from + 1, to - from - 1)};
}

}  // namespace

std::vector<DoctorCheck> check_capabilities() {
  std::vector<DoctorCheck> out;
  for (const NeededCapability& needed : kCapabilities) {
    if (has_capability(needed.number)) {
      out.push_back({"capabilities", needed.id, State::kHolds, needed.what_for});
    } else {
      out.push_back({"capabilities", needed.id, needed.without, std::string("needed to ") + needed.what_for});
    }
  }
  return out;
}

std::vector<DoctorCheck> check_host() {
  return {check_of("seccomp", ask_child(try_filter), State::kMissing, "refuses AF_PACKET, bpf(2) and io_uring"),
          check_of("mount_namespace", ask_child(try_hygiene), State::kMissing,
                   "cgroup file systems read-only, helper sockets covered"),
          check_socket_destroy(),
          check_jit(),
          check_unprivileged_bpf(),
          check_lockdown()};
}

std::vector<DoctorCheck> check_cgroup(const RunCgroup& cgroup) {
  const auto child = start_in_cgroup(cgroup.fd(), [] {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) pause();
  });
  if (!child) return {{"host", "clone_into_cgroup", State::kMissing, child.error().message()}};
  const auto killed = cgroup.kill_all();
  if (!killed) kill(child->pid, SIGKILL);
  while (waitpid(child->pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return {{"host", "clone_into_cgroup", State::kHolds,
           child->moved_in ? "works by moving: this kernel kills what begins below a cgroup that cgroup.kill once ended"
                           : "no first instruction outside"},
          {"host", "cgroup_kill", killed ? State::kHolds : State::kMissing,
           killed ? "ends a whole workload at once" : killed.error().message()}};
}

}  // namespace namewall::agent
