// What answers teach their askers: judged by every level, then taught to every level, the outermost last; those of
// several answers together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agent/proxy/asker.h"
#include "agent/proxy/grant_sink.h"
#include "policy/address.h"
#include "policy/lesson.h"

namespace namewall::agent {

struct LevelReason {
  std::size_t level = 0;
  Reason reason = NW_REASON_NONE;
  friend bool operator==(const LevelReason&, const LevelReason&) = default;
};

struct TeachingOutcome {
  // NW_REASON_NONE: every address of the answer that a policy grants is in the kernel, the client may have it. Else why
  // not, and which level says so.
  LevelReason withheld;
  std::vector<LevelReason> audited;  // what levels in audit mode would have withheld it for
  std::size_t lessons = 0;           // acknowledged
  std::size_t grants = 0;            // live ones among them, of the innermost level
};

class AnswerTeacher {
 public:
  explicit AnswerTeacher(GrantSink& sink) : sink_(sink) {}

  void set_own_addresses(std::vector<Address> addresses) { own_addresses_ = std::move(addresses); }
  // `answer`: as the client will see it. Nothing is taught unless every level delivers it; grants of inner levels may
  // have been taught where an outer one fails.
  TeachingOutcome teach(const Asker& asker, std::span<const std::uint8_t> answer, BootTime now);

  // The same for several answers: judged now, taught by the next teach_staged(), each for itself. Its number among
  // them.
  std::size_t stage(Asker asker, std::span<const std::uint8_t> answer, BootTime now);
  // In the order of staging, good until the next stage(). None is staged any more.
  std::span<const TeachingOutcome> teach_staged(BootTime now);

 private:
  struct Staged {
    Asker asker;
    std::size_t first_lesson = 0;  // one for each level; none where the answer is withheld
  };
  void teach_level(std::size_t level, BootTime now);
  void take_outcome(std::size_t number, std::size_t level, const Lesson& lesson, Reason reason);

  GrantSink& sink_;
  std::vector<Address> own_addresses_;
  std::vector<Staged> staged_;
  std::vector<TeachingOutcome> outcomes_;  // of what is staged, or was last
  std::vector<Lesson> lessons_;            // of what is staged
  // Of one level.
  std::vector<LessonOrder> orders_;
  std::vector<std::size_t> taught_;  // whose order it is
};

}  // namespace namewall::agent
