#include "agent/host/foreign_users.h"

#include <linux/capability.h>

#include <algorithm>
#include <array>
#include <utility>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

using Code = ForeignUserCode;

constexpr std::array<std::string_view, kForeignUserCodeCount> kCodes = {
    "container-engine", "packet-socket",  "vsock",      "tunnel-device",    "virtual-machine",
    "user-netstack",    "foreign-socket", "capability", "delegated-cgroup", "not-looked-at"};

struct Capability {
  int number;
  const char* name;
};
constexpr Capability kCertain[] = {
    {CAP_NET_ADMIN, "CAP_NET_ADMIN"},  {CAP_NET_RAW, "CAP_NET_RAW"},       {CAP_BPF, "CAP_BPF"},
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},  {CAP_SYS_PTRACE, "CAP_SYS_PTRACE"}, {CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
    {CAP_SYS_MODULE, "CAP_SYS_MODULE"}};

std::string names_of(std::uint64_t capabilities) {
  std::string names;
  for (const Capability& capability : kCertain) {
    if ((capabilities >> capability.number & 1) == 0) continue;
    names += (names.empty() ? "" : ", ") + std::string(capability.name);
  }
  return names;
}

bool is_virtual_machine(std::string_view executable) {
  return executable.starts_with("qemu-") || executable == "firecracker" || executable == "cloud-hypervisor" ||
         executable == "crosvm" || executable.find("kata") != std::string_view::npos;
}

bool is_user_netstack(std::string_view executable) { return executable.starts_with("runsc"); }

class Findings {
 public:
  void add(Code code, std::uint32_t pid, const std::string& detail) {
    const auto known = std::ranges::find_if(
        found_, [&](const ForeignUser& user) { return user.code == code && user.detail == detail; });
    if (known != found_.end()) {
      if (known->pid != pid) ++known->processes;
    } else if (found_.size() < kMaxForeignUsers - 1) {  // the last place is for saying that there are more
      found_.push_back({code, pid == 0 ? 0u : 1u, pid, detail});
    } else {
      is_cut_ = true;
    }
  }
  std::vector<ForeignUser> take() {
    if (is_cut_) found_.push_back({Code::kNotLookedAt, 0, 0, "there are more findings than are listed"});
    std::ranges::stable_sort(found_, {}, &ForeignUser::code);
    return std::move(found_);
  }

 private:
  std::vector<ForeignUser> found_;
  bool is_cut_ = false;
};

std::string who(const ForeignUser& user) {
  const std::string one = "process " + std::to_string(user.pid);
  if (user.processes < 2) return one;
  return one + " and " + std::to_string(user.processes - 1) + (user.processes == 2 ? " other" : " others");
}

}  // namespace

std::string_view code_of(const ForeignUser& user) { return kCodes[static_cast<std::size_t>(user.code)]; }

bool makes_partial(const ForeignUser& user) { return user.code != Code::kNotLookedAt; }

std::string sentence_of(const ForeignUser& user) {
  const std::string detail = escape_for_display(user.detail);
  switch (user.code) {
    case Code::kContainerEngine:
      return detail + " is reachable (" + who(user) + "): what is started through it is outside the workload";
    case Code::kPacketSocket:
      return "AF_PACKET is open (" + who(user) + "): it sends and receives frames that no hook sees";
    case Code::kVsock:
      return "AF_VSOCK is open (" + who(user) + "): it reaches the hypervisor and its guests past every hook";
    case Code::kTunnelDevice:
      return detail + " is open (" + who(user) + "): packets leave through it without a socket of the workload";
    case Code::kVirtualMachine:
      return detail + " runs a virtual machine (" + who(user) + "): its guest sends packets, not through sockets here";
    case Code::kUserNetstack:
      return detail + " has a network stack of its own (" + who(user) + "): it sends packets, not through sockets here";
    case Code::kForeignSocket:
      return "IP sockets made outside the workload are open in it (" + who(user) +
             "): no hook of the workload sees them";
    case Code::kCapability:
      return "effective capabilities undo the confinement (" + who(user) + "): " + detail;
    case Code::kDelegatedCgroup:
      return "cgroup.procs of an outer cgroup can be written (" + who(user) + "): the workload can leave";
    case Code::kNotLookedAt:
      return "not looked at: " + detail;
  }
  return detail;
}

std::vector<ForeignUser> find_foreign_users(const WorkloadFacts& facts) {
  Findings findings;
  for (const std::string& gap : facts.not_looked_at) findings.add(Code::kNotLookedAt, 0, gap);
  for (const ProcessFacts& process : facts.processes) {
    const auto add = [&](Code code, const std::string& detail = {}) { findings.add(code, process.pid, detail); };
    for (const std::string& socket : process.engine_sockets) add(Code::kContainerEngine, socket);
    if (process.packet_sockets > 0) add(Code::kPacketSocket);
    if (process.vsock_sockets > 0) add(Code::kVsock);
    for (const std::string& device : process.devices) {
      add(device == "/dev/kvm" || device == "/dev/vhost-vsock" ? Code::kVirtualMachine : Code::kTunnelDevice, device);
    }
    if (is_virtual_machine(process.executable)) add(Code::kVirtualMachine, process.executable);
    if (is_user_netstack(process.executable)) add(Code::kUserNetstack, process.executable);
    if (process.foreign_sockets > 0) add(Code::kForeignSocket);
    if (const std::string names = names_of(process.capabilities); !names.empty()) add(Code::kCapability, names);
    if (process.may_leave) add(Code::kDelegatedCgroup);
  }
  return findings.take();
}

}  // namespace namewall::agent
