// What this kernel lets this process do with BPF, found by trying: tiny programs are loaded, attached to a cgroup of
// the caller's and detached again. Nothing remains.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.h"

namespace namewall::bpf {

struct ProbeOutcome {
  std::string id;  // "connect4", "map_lpm_trie", "bpf_loop"
  bool works = false;
  bool is_required = false;  // by what `run` loads
  int error_number = 0;      // of a failure, where there is one
};

// For each hook: a program of its type loads, and attaches to and detaches from `cgroup_fd` beside others'
// (ALLOW_MULTI).
std::vector<ProbeOutcome> probe_hooks(int cgroup_fd);
std::vector<ProbeOutcome> probe_maps();
// Helpers from the program types that call them, and the kfunc that templates need.
std::vector<ProbeOutcome> probe_helpers();

// What namewall's programs can do without.
struct KernelAbilities {
  // bpf_loop, Linux 5.17. Without, they read no DNS: every question goes to the proxy (choose_learning), and nothing
  // ends the grants that a later answer leaves out (retain = "until-next-answer").
  bool has_loop = true;
  bool has_set_retval = true;  // bpf_set_retval, Linux 5.18. Without, what they refuse fails with EPERM
};
// Of this kernel; asked once. What this process may not ask, the kernel has.
KernelAbilities probe_abilities();

// Whether sockets say which mark a datagram came with (SO_RCVMARK, Linux 5.19).
bool can_receive_marks();

// A program that runs for packets or system calls of a cgroup, its own or an ancestor's.
struct AttachedProgram {
  std::string hook;  // as ProbeOutcome::id
  std::uint32_t id = 0;
  std::string name;      // as the loader named it: whoever that is; "" when it may not be asked for
  bool is_ours = false;  // by its name: a hint for people, no proof
};
Result<std::vector<AttachedProgram>> find_attached_programs(int cgroup_fd);

}  // namespace namewall::bpf
