#include "agent/proxy/answer_teacher.h"

#include <algorithm>
#include <utility>

#include "policy/dns_verdict.h"
#include "policy/wire_name.h"

namespace namewall::agent {
namespace {

// Reasons for which an answer is withheld where the mode is not audit; others belong to answers that are delivered and
// teach nothing.
bool withholds(Reason reason) {
  return reason == NW_REASON_ANSWER_TOO_LONG || reason == NW_REASON_ANSWER_MALFORMED ||
         reason == NW_REASON_ANSWER_WITHDRAWN;
}

bool is_audit(const AskerLevel& level) { return level.image->mode == Mode::kAudit; }

std::size_t live_grants(const bpf::Lesson& lesson) {
  return static_cast<std::size_t>(
      std::ranges::count_if(lesson.grants, [](const Grant& grant) { return grant.note == NW_REASON_NONE; }));
}

// Whether connections depend on it: a lesson of notes alone explains refusals, and may be lost.
bool must_arrive(const bpf::Lesson& lesson) { return lesson.replaces_family != 0 || live_grants(lesson) != 0; }

bpf::Lesson lesson_of(const AskerLevel& level, Teaching teaching, std::span<const std::uint8_t> answer) {
  constexpr std::size_t kHeaderLength = 12;
  DomainName name = DomainName::from_normal("");
  if (!teaching.grants.empty()) {
    name = teaching.grants.front().name;
  } else if (teaching.replaces_family != 0) {
    if (auto read = read_plain_name(answer, kHeaderLength)) name = DomainName::from_normal(std::move(read->text));
  }
  return {std::move(name), teaching.decision, level.image_hash, std::move(teaching.grants), teaching.replaces_family};
}

}  // namespace

TeachingOutcome AnswerTeacher::teach(const Asker& asker, std::span<const std::uint8_t> answer, BootTime now) {
  TeachingOutcome outcome;
  lessons_.clear();
  for (std::size_t i = 0; i < asker->size(); ++i) {
    const AskerLevel& level = (*asker)[i];
    Teaching teaching = judge_proxied_answer(*level.image, answer, own_addresses_, now);
    if (!teaching.deliver) {
      outcome.withheld = {i, teaching.reason};
      return outcome;
    }
    if (is_audit(level) && withholds(teaching.reason)) outcome.audited.push_back({i, teaching.reason});
    lessons_.push_back(lesson_of(level, std::move(teaching), answer));
  }
  for (std::size_t i = 0; i < asker->size(); ++i) {
    const AskerLevel& level = (*asker)[i];
    const bpf::Lesson& lesson = lessons_[i];
    if (lesson.grants.empty() && lesson.replaces_family == 0) continue;
    const Reason reason = sink_.teach(level.cgroup_id, lesson, now);
    if (reason == NW_REASON_NONE) {
      ++outcome.lessons;
      if (i == 0) outcome.grants = live_grants(lesson);
    } else if (is_audit(level)) {
      outcome.audited.push_back({i, reason});
    } else if (must_arrive(lesson)) {
      outcome.withheld = {i, reason};
      return outcome;
    }
  }
  return outcome;
}

}  // namespace namewall::agent
