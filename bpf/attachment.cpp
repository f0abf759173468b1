#include "bpf/attachment.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace namewall::bpf {
namespace {

struct HookProgram {
  const char* program;
  bpf_attach_type type;
};

// The order matters: addresses are given back before any are rewritten, answers are read before the first question
// leaves, packets before connects.
constexpr std::array<HookProgram, 15> kHooks{{{"namewall_recvmsg4", BPF_CGROUP_UDP4_RECVMSG},
                                              {"namewall_recvmsg6", BPF_CGROUP_UDP6_RECVMSG},
                                              {"namewall_getpeername4", BPF_CGROUP_INET4_GETPEERNAME},
                                              {"namewall_getpeername6", BPF_CGROUP_INET6_GETPEERNAME},
                                              {"namewall_ingress", BPF_CGROUP_INET_INGRESS},
                                              {"namewall_egress", BPF_CGROUP_INET_EGRESS},
                                              {"namewall_sock_create", BPF_CGROUP_INET_SOCK_CREATE},
                                              {"namewall_bind4", BPF_CGROUP_INET4_BIND},
                                              {"namewall_bind6", BPF_CGROUP_INET6_BIND},
                                              {"namewall_post_bind4", BPF_CGROUP_INET4_POST_BIND},
                                              {"namewall_post_bind6", BPF_CGROUP_INET6_POST_BIND},
                                              {"namewall_sendmsg4", BPF_CGROUP_UDP4_SENDMSG},
                                              {"namewall_sendmsg6", BPF_CGROUP_UDP6_SENDMSG},
                                              {"namewall_connect4", BPF_CGROUP_INET4_CONNECT},
                                              {"namewall_connect6", BPF_CGROUP_INET6_CONNECT}}};
constexpr std::array<HookProgram, 1> kGuardHooks{{{"namewall_guard", BPF_CGROUP_INET_SOCK_CREATE}}};

constexpr std::uint32_t kMostProgramsOfAHook = 64;  // BPF_CGROUP_MAX_PROGS of the kernel

Result<std::uint32_t> id_of(int program_fd) {
  bpf_prog_info info{};
  std::uint32_t size = sizeof(info);
  if (const int error = bpf_obj_get_info_by_fd(program_fd, &info, &size); error < 0)
    return fail_errno(-error, "cannot examine a BPF program");
  return info.id;
}

Result<void> attach_program(int program_fd, int cgroup_fd, int type) {
  const int error = bpf_prog_attach(program_fd, cgroup_fd, static_cast<bpf_attach_type>(type), BPF_F_ALLOW_MULTI);
  if (error < 0) return fail_errno(-error, "cannot attach to the cgroup");
  return {};
}

Result<void> detach_program(int program_fd, int cgroup_fd, int type) {
  const int error = bpf_prog_detach2(program_fd, cgroup_fd, static_cast<bpf_attach_type>(type));
  if (error < 0 && error != -ENOENT) return fail_errno(-error, "cannot detach from the cgroup");
  return {};
}

}  // namespace

Result<Attachment::Hook> Attachment::open_hook(const KernelObjects& objects, const char* program, int attach_type) {
  Hook hook{program, attach_type, objects.program(program), 0, {}, false};
  const auto id = id_of(hook.fd);
  if (!id) return tl::unexpected(id.error());
  hook.id = *id;
  for (const auto& [name, fd] : objects.former_programs()) {
    if (name != program) continue;
    const auto former = id_of(fd.get());
    if (!former) return tl::unexpected(former.error());
    hook.former.emplace(*former, fd.get());
  }
  hook.is_new = hook.former.empty() && !objects.former_programs().empty();
  return hook;
}

Result<Attachment> Attachment::open(const KernelObjects& objects) {
  Attachment attachment;
  attachment.prepare_fd_ = objects.program("namewall_prepare");
  attachment.prepare_guard_fd_ = objects.program("namewall_prepare_guard");
  attachment.workloads_fd_ = objects.map("workloads");
  attachment.guards_fd_ = objects.map("guards");
  for (const auto& [program, type] : kHooks) {
    auto hook = open_hook(objects, program, type);
    if (!hook) return tl::unexpected(hook.error());
    attachment.hooks_.push_back(std::move(*hook));
  }
  for (const auto& [program, type] : kGuardHooks) {
    auto hook = open_hook(objects, program, type);
    if (!hook) return tl::unexpected(hook.error());
    attachment.guards_.push_back(std::move(*hook));
  }
  return attachment;
}

void Attachment::add_program_ids(std::set<std::uint32_t>& ids) const {
  for (const auto* hooks : {&hooks_, &guards_}) {
    for (const Hook& hook : *hooks) ids.insert(hook.id);
  }
}

Result<void> Attachment::attach_all(int cgroup_fd, const std::vector<Hook>& hooks) const {
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    auto done = attach_program(hooks[i].fd, cgroup_fd, hooks[i].attach_type);
    if (done) continue;
    while (i-- > 0) (void)detach_program(hooks[i].fd, cgroup_fd, hooks[i].attach_type);
    return done;
  }
  return {};
}

Result<void> Attachment::attach(int cgroup_fd, const nw_workload& config) const {
  if (auto done = attach_program(prepare_fd_, cgroup_fd, BPF_CGROUP_INET_SOCK_CREATE); !done) return done;
  Result<void> done;
  if (const int error = bpf_map_update_elem(workloads_fd_, &config.cgroup_id, &config, BPF_ANY); error < 0)
    done = fail_errno(-error, "cannot write the cgroup's policy");
  if (done && !(done = attach_all(cgroup_fd, hooks_))) {
    const nw_workload nobody{};
    bpf_map_update_elem(workloads_fd_, &config.cgroup_id, &nobody, BPF_EXIST);
  }
  (void)detach_program(prepare_fd_, cgroup_fd, BPF_CGROUP_INET_SOCK_CREATE);
  return done;
}

Result<void> Attachment::attach_guard(int cgroup_fd, const nw_guard& guard) const {
  if (auto done = attach_program(prepare_guard_fd_, cgroup_fd, BPF_CGROUP_INET_SOCK_CREATE); !done) return done;
  Result<void> done;
  if (const int error = bpf_map_update_elem(guards_fd_, &guard.cgroup_id, &guard, BPF_ANY); error < 0)
    done = fail_errno(-error, "cannot write the cgroup's guard");
  if (done) done = attach_all(cgroup_fd, guards_);
  (void)detach_program(prepare_guard_fd_, cgroup_fd, BPF_CGROUP_INET_SOCK_CREATE);
  return done;
}

Result<void> Attachment::detach(int cgroup_fd) const {
  Result<void> done;
  for (const Hook& hook : hooks_) {
    if (auto gone = detach_program(hook.fd, cgroup_fd, hook.attach_type); !gone) done = std::move(gone);
    for (const auto& [id, fd] : hook.former) (void)detach_program(fd, cgroup_fd, hook.attach_type);
  }
  return done;
}

Result<void> Attachment::restore_hook(const Hook& hook, int cgroup_fd, Restored& restored) {
  std::array<std::uint32_t, kMostProgramsOfAHook> ids;
  std::uint32_t count = kMostProgramsOfAHook;
  const auto type = static_cast<bpf_attach_type>(hook.attach_type);
  if (const int error = bpf_prog_query(cgroup_fd, type, 0, nullptr, ids.data(), &count); error < 0)
    return fail_errno(-error, "cannot ask which programs the cgroup has");
  const auto end = ids.begin() + count;
  const bool is_there = std::find(ids.begin(), end, hook.id) != end;
  if (is_there && hook.former.empty()) return {};
  const auto old = std::find_if(ids.begin(), end, [&](std::uint32_t id) { return hook.former.contains(id); });
  if (is_there) return old == end ? Result<void>{} : detach_program(hook.former.at(*old), cgroup_fd, hook.attach_type);
  if (old == end) {
    (hook.is_new ? restored.replaced : restored.attached).push_back(hook.program);
    return attach_program(hook.fd, cgroup_fd, hook.attach_type);
  }
  LIBBPF_OPTS(bpf_prog_attach_opts, options, .flags = BPF_F_ALLOW_MULTI | BPF_F_REPLACE,
              .replace_prog_fd = hook.former.at(*old));
  const auto start = std::chrono::steady_clock::now();
  if (const int error = bpf_prog_attach_opts(hook.fd, cgroup_fd, type, &options); error < 0)
    return fail_errno(-error, "cannot replace a program of the cgroup");
  restored.longest = std::max<std::chrono::nanoseconds>(restored.longest, std::chrono::steady_clock::now() - start);
  restored.replaced.push_back(hook.program);
  return {};
}

Result<Attachment::Restored> Attachment::restore(int cgroup_fd) const {
  Restored restored;
  for (const Hook& hook : hooks_) {
    if (auto done = restore_hook(hook, cgroup_fd, restored); !done) return tl::unexpected(done.error());
  }
  return restored;
}

Result<void> Attachment::detach_guard(int cgroup_fd) const {
  for (const Hook& hook : guards_) {
    if (auto done = detach_program(hook.fd, cgroup_fd, hook.attach_type); !done) return done;
  }
  return {};
}

Result<Attachment::Restored> Attachment::restore_guard(int cgroup_fd) const {
  Restored restored;
  for (const Hook& hook : guards_) {
    if (auto done = restore_hook(hook, cgroup_fd, restored); !done) return tl::unexpected(done.error());
  }
  return restored;
}

}  // namespace namewall::bpf
