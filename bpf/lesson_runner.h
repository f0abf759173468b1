// Puts lessons into the kernel's tables by running namewall_teach.
#pragma once

#include <cstdint>

#include "bpf/abi.h"
#include "bpf/lesson.h"

namespace namewall::bpf {

class LessonRunner {
 public:
  explicit LessonRunner(int program_fd) : program_fd_(program_fd) {}

  // For the tables of `workload`. `decision` was made by the policy of `generation` (0: of none that is known, the
  // kernel judges the name again before it goes by it).
  Reason run(const nw_workload& workload, const Lesson& lesson, const NameDecision& decision,
             std::uint32_t generation) const;

 private:
  int program_fd_;
};

}  // namespace namewall::bpf
