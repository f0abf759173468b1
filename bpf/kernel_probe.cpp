#include "bpf/kernel_probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

namespace namewall::bpf {
namespace {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct HookType {
  const char* id;
  bpf_prog_type program;
  bpf_attach_type attach;
  bool is_required;
};

// The hooks that namewall.bpf.c uses, then those whose foreign programs can change what a workload's traffic means.
constexpr HookType kHooks[] = {
    {"connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, true},
    {"connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT, true},
    {"sendmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG, true},
    {"sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG, true},
    {"bind4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND, true},
    {"bind6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND, true},
    {"post_bind4", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET4_POST_BIND, true},
    {"post_bind6", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET6_POST_BIND, true},
    {"sock_create", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, true},
    {"egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, true},
    {"ingress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, true},
    {"sock_ops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, false},
    {"recvmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_RECVMSG, true},
    {"recvmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_RECVMSG, true},
    {"getpeername4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME, true},
    {"getpeername6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETPEERNAME, true},
    {"setsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT, false},
};

constexpr bpf_insn move_immediate(int to, std::int32_t value) {
  return {BPF_ALU64 | BPF_MOV | BPF_K, static_cast<std::uint8_t>(to & 0xf), 0, 0, value};
}
constexpr bpf_insn kExit = {BPF_JMP | BPF_EXIT, 0, 0, 0, 0};
constexpr std::array<bpf_insn, 2> kReturnOne = {move_immediate(BPF_REG_0, 1), kExit};

int load(const HookType& hook, std::span<const bpf_insn> code) {
  bpf_prog_load_opts options{};
  options.sz = sizeof options;
  options.expected_attach_type = hook.attach;
  return bpf_prog_load(hook.program, "namewall_probe", "GPL", code.data(), code.size(), &options);
}

ProbeOutcome probe_hook(const HookType& hook, int cgroup_fd) {
  ProbeOutcome outcome{hook.id, false, hook.is_required, 0};
  const Fd program(load(hook, kReturnOne));
  if (program.get() < 0) {
    outcome.error_number = errno;
    return outcome;
  }
  if (bpf_prog_attach(program.get(), cgroup_fd, hook.attach, BPF_F_ALLOW_MULTI) != 0 ||
      bpf_prog_detach2(program.get(), cgroup_fd, hook.attach) != 0) {
    outcome.error_number = errno;
    return outcome;
  }
  outcome.works = true;
  return outcome;
}

struct MapType {
  const char* id;
  bpf_map_type type;
};
constexpr MapType kMaps[] = {
    {"map_array", BPF_MAP_TYPE_ARRAY},
    {"map_hash", BPF_MAP_TYPE_HASH},
    {"map_lpm_trie", BPF_MAP_TYPE_LPM_TRIE},
    {"map_array_of_maps", BPF_MAP_TYPE_ARRAY_OF_MAPS},
    {"map_cgroup_storage", BPF_MAP_TYPE_CGROUP_STORAGE},
    {"map_sk_storage", BPF_MAP_TYPE_SK_STORAGE},
    {"map_ring_buffer", BPF_MAP_TYPE_RINGBUF},
};

struct HelperType {
  const char* id;
  bpf_prog_type program;
  bpf_func_id helper;
  bool is_required = true;
};
constexpr HelperType kHelpers[] = {
    {"bpf_set_retval", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval, false},
    {"bpf_ktime_get_boot_ns", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_ktime_get_boot_ns},
    {"bpf_sk_lookup_tcp", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_sk_lookup_tcp},
    {"bpf_get_netns_cookie", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_get_netns_cookie},
    {"bpf_loop", BPF_PROG_TYPE_CGROUP_SKB, BPF_FUNC_loop, false},
    {"bpf_skb_load_bytes", BPF_PROG_TYPE_CGROUP_SKB, BPF_FUNC_skb_load_bytes},
    {"bpf_sk_storage_get", BPF_PROG_TYPE_CGROUP_SKB, BPF_FUNC_sk_storage_get},
    {"bpf_ringbuf_reserve", BPF_PROG_TYPE_CGROUP_SKB, BPF_FUNC_ringbuf_reserve},
};

ProbeOutcome outcome_of(const char* id, int supported) {
  return {id, supported == 1, true, supported < 0 ? -supported : 0};
}

// libbpf's probe takes every refusal but the verifier's "unknown func" for support, also a missing capability: what
// cannot load a program at all supports no helper. 0, or the errno.
int error_of_loading(const HookType& hook) {
  const Fd program(load(hook, kReturnOne));
  return program.get() >= 0 ? 0 : errno;
}

const HookType& hook_of(bpf_prog_type program) {
  for (const HookType& hook : kHooks) {
    if (hook.program == program) return hook;
  }
  return kHooks[0];
}

ProbeOutcome probe_helper(const HelperType& helper) {
  if (const int error = error_of_loading(hook_of(helper.program)); error != 0)
    return {helper.id, false, helper.is_required, error};
  ProbeOutcome outcome = outcome_of(helper.id, libbpf_probe_bpf_helper(helper.program, helper.helper, nullptr));
  outcome.is_required = helper.is_required;
  return outcome;
}

// bpf_rdonly_cast(ctx->sk, struct sock): from a socket to its cgroup in connect hooks. Of use to templates only.
ProbeOutcome probe_rdonly_cast() {
  ProbeOutcome outcome{"bpf_rdonly_cast", false, false, 0};
  btf* kernel = btf__load_vmlinux_btf();
  if (kernel == nullptr) {
    outcome.error_number = errno;
    return outcome;
  }
  const int function = btf__find_by_name_kind(kernel, "bpf_rdonly_cast", BTF_KIND_FUNC);
  const int sock = btf__find_by_name_kind(kernel, "sock", BTF_KIND_STRUCT);
  btf__free(kernel);
  if (function <= 0 || sock <= 0) {
    outcome.error_number = ENOENT;
    return outcome;
  }
  const std::array<bpf_insn, 5> code = {{
      {BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_1, offsetof(bpf_sock_addr, sk), 0},
      move_immediate(BPF_REG_2, sock),
      {BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, function},
      move_immediate(BPF_REG_0, 1),
      kExit,
  }};
  const Fd program(load(kHooks[0], code));
  outcome.works = program.get() >= 0;
  outcome.error_number = outcome.works ? 0 : errno;
  return outcome;
}

// "" when this process may not ask (CAP_SYS_ADMIN).
std::string name_of_program(std::uint32_t id) {
  const Fd program(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  std::uint32_t length = sizeof info;
  if (program.get() < 0 || bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0) return {};
  return {info.name, strnlen(info.name, sizeof info.name)};
}

}  // namespace

std::vector<ProbeOutcome> probe_hooks(int cgroup_fd) {
  std::vector<ProbeOutcome> out;
  for (const HookType& hook : kHooks) out.push_back(probe_hook(hook, cgroup_fd));
  return out;
}

std::vector<ProbeOutcome> probe_maps() {
  std::vector<ProbeOutcome> out;
  for (const MapType& map : kMaps) out.push_back(outcome_of(map.id, libbpf_probe_bpf_map_type(map.type, nullptr)));
  return out;
}

std::vector<ProbeOutcome> probe_helpers() {
  std::vector<ProbeOutcome> out;
  for (const HelperType& helper : kHelpers) out.push_back(probe_helper(helper));
  out.push_back(probe_rdonly_cast());
  return out;
}

KernelAbilities probe_abilities() {
  static const KernelAbilities abilities = [] {
    const auto has = [](bpf_prog_type program, bpf_func_id helper) {
      return libbpf_probe_bpf_helper(program, helper, nullptr) != 0;
    };
    return KernelAbilities{.has_loop = has(BPF_PROG_TYPE_CGROUP_SKB, BPF_FUNC_loop),
                           .has_set_retval = has(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval)};
  }();
  return abilities;
}

bool can_receive_marks() {
#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif
  static const bool can = [] {
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    return socket.get() >= 0 && setsockopt(socket.get(), SOL_SOCKET, SO_RCVMARK, &on, sizeof on) == 0;
  }();
  return can;
}

Result<std::vector<AttachedProgram>> find_attached_programs(int cgroup_fd) {
  constexpr std::uint32_t kMostPrograms = 64;  // of one hook: the kernel's own limit (BPF_CGROUP_MAX_PROGS)
  std::vector<AttachedProgram> out;
  for (const HookType& hook : kHooks) {
    std::array<std::uint32_t, kMostPrograms> ids{};
    std::uint32_t count = kMostPrograms;
    std::uint32_t flags = 0;
    if (bpf_prog_query(cgroup_fd, hook.attach, BPF_F_QUERY_EFFECTIVE, &flags, ids.data(), &count) != 0) {
      if (errno == EINVAL) continue;  // a hook that this kernel does not have
      return fail_errno(errno, "cannot ask which programs are attached to the cgroup");
    }
    for (std::uint32_t i = 0; i < count && i < kMostPrograms; ++i) {
      const std::string name = name_of_program(ids[i]);
      out.push_back({hook.id, ids[i], name, name.starts_with("namewall_")});
    }
  }
  return out;
}

}  // namespace namewall::bpf
