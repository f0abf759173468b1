// What an answer teaches its asker: judged by every level, then taught to every level, the outermost last.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agent/proxy/asker.h"
#include "agent/proxy/grant_sink.h"
#include "bpf/lesson.h"
#include "policy/address.h"

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

 private:
  GrantSink& sink_;
  std::vector<Address> own_addresses_;
  std::vector<bpf::Lesson> lessons_;  // of the call: one for each level, its memory used again
};

}  // namespace namewall::agent
