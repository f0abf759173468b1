#include <algorithm>
#include <utility>

#include "agent/proxy/proxy_state.h"
#include "policy/answer_edit.h"
#include "policy/dns_message.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMostStaged = 256;

}  // namespace

void ProxyCore::State::land(std::uint32_t number, std::uint32_t generation,
                            const Result<std::span<const std::uint8_t>>& answer) {
  if (flights[number].generation != generation) return;
  flights.end(number);
  const Flight& flight = flights[number];  // nothing begins before this returns
  --ledger[flight.account].flights;
  bool may_cache = false;
  for (std::uint32_t at = flight.first_asker; at != HashIndex::kNone;) {
    const std::uint32_t asker = at;
    const WaitingQuestion& question = room[asker];
    at = question.next;
    if (!question.is_abandoned && answer) {
      const bool uses_cache = may_use_cache(question.asker);
      may_cache |= let_out(asker, *answer, 0) && uses_cache;
      continue;
    }
    if (!question.is_abandoned) give_no_answer(question);
    release(asker);
  }
  if (may_cache) {
    cache.put(flight.hash, targets.serial(flight.target), flight.question, *answer, cacheable_seconds(*answer), now);
  }
  targets.give_up(flight.target);
}

bool ProxyCore::State::let_out(std::uint32_t number, std::span<const std::uint8_t> answer, std::uint32_t age) {
  const WaitingQuestion& question = room[number];
  if (staged.size() == staged_count) staged.emplace_back();
  std::vector<std::uint8_t>& edited = staged[staged_count].edited;
  AnswerEdit edit;
  edit.age = age;
  for (const AskerLevel& level : *question.asker) edit.hold_to(*level.image);
  if (!edit_answer(answer, question.message, edit, edited)) {
    withhold(question, {0, NW_REASON_ANSWER_MALFORMED});
    release(number);
    return false;
  }
  if (!question.over_tcp && edited.size() > udp_limit(question.message)) {
    count(question.account, &ProxyFigures::truncated);
    reply_own(question.client, question.message, truncated_reply());
    release(number);
    return true;
  }
  staged[staged_count++].question = number;
  teacher.stage(question.asker, edited, now);
  if (!is_batch || staged_count == kMostStaged) settle();
  return true;
}

void ProxyCore::State::settle() {
  if (staged_count == 0) return;
  const std::span<const TeachingOutcome> outcomes = teacher.teach_staged(now);
  const std::size_t count = std::exchange(staged_count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t number = staged[i].question;
    if (!room[number].is_abandoned) reply_taught(room[number], staged[i].edited, outcomes[i]);
    release(number);
  }
}

void ProxyCore::State::reply_taught(const WaitingQuestion& question, std::span<const std::uint8_t> answer,
                                    const TeachingOutcome& outcome) {
  for (const LevelReason& audited : outcome.audited) {
    report(as_asked(question, targets), Hook::kAnswer, audited, true);
  }
  for (std::size_t i = 0; i < outcome.lessons; ++i) count(question.account, &ProxyFigures::taught);
  if (outcome.withheld.reason != NW_REASON_NONE) {
    withhold(question, outcome.withheld);
  } else {
    count(question.account, &ProxyFigures::answered);
    output.reply(question.client, answer);
  }
}

void ProxyCore::State::withhold(const WaitingQuestion& question, const LevelReason& why) {
  count(question.account, &ProxyFigures::withheld);
  report(as_asked(question, targets), Hook::kAnswer, why);
  const AskerLevel& level = (*question.asker)[why.level];
  const std::string text = text_of(level, why.reason);
  reply_own(
      question.client, question.message,
      why.reason == NW_REASON_ANSWER_WITHDRAWN ? refusal_reply(level.image->refuse_with, text) : not_ready_reply(text));
}

void ProxyCore::State::give_no_answer(const WaitingQuestion& question) {
  count(question.account, &ProxyFigures::failed_upstream);
  report(as_asked(question, targets), Hook::kAnswer, {0, NW_REASON_UPSTREAM_FAILED});
  reply_own(question.client, question.message,
            no_answer_reply(text_of(question.asker->front(), NW_REASON_UPSTREAM_FAILED)));
}

void ProxyCore::State::reply_own(const ClientHandle& client, std::span<const std::uint8_t> question,
                                 const OwnReply& reply) {
  if (const auto message = build_reply(question, reply)) output.reply(client, *message);
}

ClientQuestion as_asked(const WaitingQuestion& question, const TargetTable& targets) {
  return {.client = question.client,
          .asker = question.asker,
          .target = targets[question.target],
          .over_tcp = question.over_tcp,
          .pid = question.pid,
          .uid = question.uid,
          .message = question.message};
}

void ProxyCore::State::report(const ClientQuestion& question, Hook hook, const LevelReason& why, bool audit) {
  constexpr std::uint8_t kTcp = 6, kUdp = 17;
  const AskerLevel& level = (*question.asker)[why.level];
  EventRate& rate = ledger[ledger.account_of(level.cgroup_id)].events;
  if (!rate.allows(now)) return;
  Event event;
  event.time = now;
  event.cgroup_id = level.cgroup_id;
  event.hook = hook;
  event.reason = why.reason;
  event.audit = audit;
  event.ip_protocol = question.over_tcp ? kTcp : kUdp;
  event.address = question.target.resolver.address;
  event.port = question.target.resolver.port;
  if (auto read = parse_question(question.message)) {
    event.name = read->name.text();
    event.question_type = read->type;
  }
  event.pid = question.pid;
  event.uid = question.uid;
  event.netns_cookie = question.target.netns_cookie;
  event.left_out = rate.take_left_out();
  output.report(event);
}

}  // namespace namewall::agent
