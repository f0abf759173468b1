// uid 0 without capabilities inside an armed cgroup: it may not change what holds it.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

// Empties every capability set of the calling process; uid stays 0.
bool drop_capabilities() {
  for (int capability = 0; capability <= 63; ++capability) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  return syscall(SYS_capset, &header, data) == 0 && geteuid() == 0;
}

long bpf_call(int command, bpf_attr& attr) { return syscall(SYS_bpf, command, &attr, sizeof(attr)); }

class Privileges : public WorkloadTest {};

TEST_F(Privileges, RootWithoutCapabilitiesCannotTouchProgramsMapsOrAttachments) {
  arm(make_policy({}));
  struct Outcome {
    bool dropped = false;
    int programs_opened = 0, maps_opened = 0, links_opened = 0;
    long detached = -1, attached = -1, queried = -1, program_loaded = -1;
    int connect_after = -1;
  };
  const std::string cgroup_path = cgroup_.path();
  const auto outcome = in_cgroup(cgroup_, [&] {
    Outcome result;
    enforcer_.reset();  // the child's copy: its descriptors are the loader's, not the workload's
    result.dropped = drop_capabilities();
    bpf_attr attr;
    for (std::uint32_t id = 1; id < 20'000; ++id) {
      std::memset(&attr, 0, sizeof(attr));
      attr.prog_id = id;
      result.programs_opened += bpf_call(BPF_PROG_GET_FD_BY_ID, attr) >= 0;
      std::memset(&attr, 0, sizeof(attr));
      attr.map_id = id;
      result.maps_opened += bpf_call(BPF_MAP_GET_FD_BY_ID, attr) >= 0;
      std::memset(&attr, 0, sizeof(attr));
      attr.link_id = id;
      result.links_opened += bpf_call(BPF_LINK_GET_FD_BY_ID, attr) >= 0;
    }
    const OwnedFd directory(open(cgroup_path.c_str(), O_RDONLY | O_DIRECTORY));
    for (const auto type : {BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET_EGRESS, BPF_CGROUP_UDP4_SENDMSG,
                            BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_SOCK_CREATE}) {
      std::memset(&attr, 0, sizeof(attr));
      attr.target_fd = static_cast<std::uint32_t>(directory.get());
      attr.attach_type = type;
      result.detached = std::max(result.detached, bpf_call(BPF_PROG_DETACH, attr));
    }
    std::memset(&attr, 0, sizeof(attr));
    attr.query.target_fd = static_cast<std::uint32_t>(directory.get());
    attr.query.attach_type = BPF_CGROUP_INET4_CONNECT;
    result.queried = bpf_call(BPF_PROG_QUERY, attr);
    const bpf_insn allow[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    std::memset(&attr, 0, sizeof(attr));
    attr.prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
    attr.expected_attach_type = BPF_CGROUP_INET4_CONNECT;
    attr.insns = reinterpret_cast<std::uint64_t>(allow);
    attr.insn_cnt = 2;
    attr.license = reinterpret_cast<std::uint64_t>("GPL");
    result.program_loaded = bpf_call(BPF_PROG_LOAD, attr);
    result.connect_after = tcp_connect(ip("192.0.2.1"), 443);
    return result;
  });
  EXPECT_TRUE(outcome.dropped);
  EXPECT_EQ(outcome.programs_opened, 0);
  EXPECT_EQ(outcome.maps_opened, 0);
  EXPECT_EQ(outcome.links_opened, 0);
  EXPECT_LT(outcome.detached, 0);
  EXPECT_LT(outcome.queried, 0);
  EXPECT_LT(outcome.program_loaded, 0);
  EXPECT_EQ(outcome.connect_after, ECONNREFUSED);
}

TEST_F(Privileges, DescriptorsOfTheLoaderAreClosedOnExec) {
  arm(make_policy({}));
  const int inherited = in_cgroup(cgroup_, [] {
    int open_bpf = 0;
    for (int fd = 3; fd < 1024; ++fd) {
      char target[128];
      const auto link = "/proc/self/fd/" + std::to_string(fd);
      const ssize_t n = readlink(link.c_str(), target, sizeof(target) - 1);
      if (n <= 0) continue;
      target[n] = '\0';
      if (std::string(target).find("bpf") == std::string::npos) continue;
      open_bpf += (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
    }
    return open_bpf;
  });
  EXPECT_EQ(inherited, 0);
}

}  // namespace
}  // namespace namewall::kernel_tests
