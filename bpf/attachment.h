// The programs of one layer on one cgroup, attached to the cgroup itself (BPF_PROG_ATTACH, ALLOW_MULTI): they live as
// long as it does.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "bpf/abi.h"
#include "bpf/kernel_objects.h"
#include "policy/result.h"

namespace namewall::bpf {

class Attachment {
 public:
  static Result<Attachment> open(const KernelObjects& objects);

  // All or nothing. The cgroup's storage holds `config` before the first program that judges by it is attached.
  Result<void> attach(int cgroup_fd, const nw_workload& config) const;
  Result<void> detach(int cgroup_fd) const;  // what is not attached is no error

  struct Restored {
    std::vector<std::string> replaced;  // programs of another build
    std::vector<std::string> attached;  // that were missing
    std::chrono::nanoseconds longest{};
  };
  // Every hook has its program afterwards; one of another build is replaced in place.
  Result<Restored> restore(int cgroup_fd) const;

  // As attach(), with the guard's storage.
  Result<void> attach_guard(int cgroup_fd, const nw_guard& guard) const;
  Result<void> detach_guard(int cgroup_fd) const;
  Result<Restored> restore_guard(int cgroup_fd) const;

  std::size_t hooks() const { return hooks_.size(); }
  std::size_t guard_hooks() const { return guards_.size(); }
  void add_program_ids(std::set<std::uint32_t>& ids) const;

 private:
  struct Hook {
    std::string program;
    int attach_type;
    int fd;
    std::uint32_t id;                     // of the program
    std::map<std::uint32_t, int> former;  // ids of other builds' programs for this hook -> descriptor
    bool is_new;                          // other builds are there, and had none for this hook
  };
  static Result<Hook> open_hook(const KernelObjects& objects, const char* program, int attach_type);
  static Result<void> restore_hook(const Hook& hook, int cgroup_fd, Restored& restored);

  Result<void> attach_all(int cgroup_fd, const std::vector<Hook>& hooks) const;
  std::vector<Hook> hooks_, guards_;
  int prepare_fd_ = -1, prepare_guard_fd_ = -1;
  int workloads_fd_ = -1, guards_fd_ = -1;
};

}  // namespace namewall::bpf
