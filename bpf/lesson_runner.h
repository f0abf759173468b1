// Puts lessons into the kernel's tables by running namewall_teach, several in one run.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "bpf/abi.h"
#include "policy/lesson.h"

namespace namewall::bpf {

class LessonRunner {
 public:
  explicit LessonRunner(int program_fd);

  // For the tables of `workload`. `decision` was made by the policy of `generation` (0: of none that is known, the
  // kernel judges the name again before it goes by it). Lessons are put in the order in which they were added; `reason`
  // is told by the end of the next run().
  void add(const nw_workload& workload, const Lesson& lesson, const NameDecision& decision, std::uint32_t generation,
           Reason& reason);
  // Of one lesson that fails, the others of the run go on.
  void run();

 private:
  struct Waiting {
    Reason* reason;
    std::size_t at;  // in the packet
  };
  void append(const nw_lesson_head& head, std::span<const nw_lesson_grant> grants, Reason& reason);
  Reason run_one(const nw_lesson_head& head, std::span<const nw_lesson_grant> grants);
  // Of the lesson being added; replacing wants its grants sorted.
  Reason run_in_parts(nw_lesson_head head, bool replaces);
  Reason put_in_parts(const nw_lesson_head& head);
  Reason replace_in_parts(nw_lesson_head head);

  int program_fd_;
  std::size_t count_ = 0, size_ = 0;  // of what waits
  std::array<Waiting, NW_LESSONS> waiting_;
  std::vector<nw_lesson_grant> grants_;  // of the lesson being added
  alignas(8) std::array<std::uint8_t, NW_LESSONS_BYTES> packet_;
};

}  // namespace namewall::bpf
