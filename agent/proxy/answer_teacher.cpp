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

std::size_t live_grants(const Lesson& lesson) {
  return static_cast<std::size_t>(
      std::ranges::count_if(lesson.grants, [](const Grant& grant) { return grant.note == NW_REASON_NONE; }));
}

// Whether connections depend on it: a lesson of notes alone explains refusals, and may be lost.
bool must_arrive(const Lesson& lesson) { return lesson.replaces_family != 0 || live_grants(lesson) != 0; }

Lesson lesson_of(const AskerLevel& level, Teaching teaching, std::span<const std::uint8_t> answer) {
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
  const std::size_t number = stage(asker, answer, now);
  return teach_staged(now)[number];
}

std::size_t AnswerTeacher::stage(Asker asker, std::span<const std::uint8_t> answer, BootTime now) {
  if (staged_.empty()) outcomes_.clear();
  const std::size_t first = lessons_.size();
  TeachingOutcome& outcome = outcomes_.emplace_back();
  for (std::size_t i = 0; i < asker->size(); ++i) {
    const AskerLevel& level = (*asker)[i];
    Teaching teaching = judge_proxied_answer(*level.image, answer, own_addresses_, now);
    if (!teaching.deliver) {
      outcome.withheld = {i, teaching.reason};
      lessons_.erase(lessons_.begin() + static_cast<std::ptrdiff_t>(first), lessons_.end());
      break;
    }
    if (is_audit(level) && withholds(teaching.reason)) outcome.audited.push_back({i, teaching.reason});
    lessons_.push_back(lesson_of(level, std::move(teaching), answer));
  }
  staged_.push_back({std::move(asker), first});
  return staged_.size() - 1;
}

std::span<const TeachingOutcome> AnswerTeacher::teach_staged(BootTime now) {
  std::size_t levels = 0;
  for (const Staged& staged : staged_) levels = std::max(levels, staged.asker->size());
  for (std::size_t level = 0; level < levels; ++level) teach_level(level, now);
  staged_.clear();
  lessons_.clear();
  return outcomes_;
}

// What an inner level has not acknowledged is not taught to this one.
void AnswerTeacher::teach_level(std::size_t level, BootTime now) {
  orders_.clear();
  taught_.clear();
  for (std::size_t number = 0; number < staged_.size(); ++number) {
    const Staged& staged = staged_[number];
    if (level >= staged.asker->size() || outcomes_[number].withheld.reason != NW_REASON_NONE) continue;
    const Lesson& lesson = lessons_[staged.first_lesson + level];
    if (lesson.grants.empty() && lesson.replaces_family == 0) continue;
    orders_.push_back({(*staged.asker)[level].cgroup_id, &lesson});
    taught_.push_back(number);
  }
  if (orders_.empty()) return;
  sink_.teach_all(orders_, now);
  for (std::size_t i = 0; i < orders_.size(); ++i)
    take_outcome(taught_[i], level, *orders_[i].lesson, orders_[i].reason);
}

void AnswerTeacher::take_outcome(std::size_t number, std::size_t level, const Lesson& lesson, Reason reason) {
  TeachingOutcome& outcome = outcomes_[number];
  if (reason == NW_REASON_NONE) {
    ++outcome.lessons;
    if (level == 0) outcome.grants = live_grants(lesson);
  } else if (is_audit((*staged_[number].asker)[level])) {
    outcome.audited.push_back({level, reason});
  } else if (must_arrive(lesson)) {
    outcome.withheld = {level, reason};
  }
}

}  // namespace namewall::agent
