// The empty program set (bench/empty.bpf.c), attached as namewall attaches its own: BPF_PROG_ATTACH with ALLOW_MULTI.
#pragma once

#include <memory>

#include "policy/result.h"

namespace namewall::bench {

class EmptyPrograms {
 public:
  static Result<EmptyPrograms> load();
  EmptyPrograms(EmptyPrograms&&) noexcept;
  EmptyPrograms& operator=(EmptyPrograms&&) noexcept;
  ~EmptyPrograms();

  // They stay attached until detach or until the cgroup is removed.
  Result<void> attach(int cgroup_fd) const;
  Result<void> detach(int cgroup_fd) const;

 private:
  struct State;
  explicit EmptyPrograms(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::bench
