#include "bench/host/empty_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <string>

#include "empty.skel.h"

namespace namewall::bench {

struct EmptyPrograms::State {
  empty_bpf* skeleton = nullptr;
  ~State() { empty_bpf__destroy(skeleton); }
};

EmptyPrograms::EmptyPrograms(std::unique_ptr<State> state) : state_(std::move(state)) {}
EmptyPrograms::EmptyPrograms(EmptyPrograms&&) noexcept = default;
EmptyPrograms& EmptyPrograms::operator=(EmptyPrograms&&) noexcept = default;
EmptyPrograms::~EmptyPrograms() = default;

Result<EmptyPrograms> EmptyPrograms::load() {
  auto state = std::make_unique<State>();
  state->skeleton = empty_bpf__open_and_load();
  if (state->skeleton == nullptr) return fail_errno(errno, "load the empty programs");
  return EmptyPrograms(std::move(state));
}

Result<void> EmptyPrograms::attach(int cgroup_fd) const {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, state_->skeleton->obj) {
    if (bpf_prog_attach(bpf_program__fd(program), cgroup_fd, bpf_program__expected_attach_type(program),
                        BPF_F_ALLOW_MULTI) != 0)
      return fail_errno(errno, std::string("attach ") + bpf_program__name(program));
  }
  return {};
}

Result<void> EmptyPrograms::detach(int cgroup_fd) const {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, state_->skeleton->obj) {
    if (bpf_prog_detach2(bpf_program__fd(program), cgroup_fd, bpf_program__expected_attach_type(program)) != 0)
      return fail_errno(errno, std::string("detach ") + bpf_program__name(program));
  }
  return {};
}

}  // namespace namewall::bench
