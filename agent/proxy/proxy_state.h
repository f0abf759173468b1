// The parts of ProxyCore, joined: question_intake.cpp takes questions in, proxy_core.cpp asks them in turn,
// answer_release.cpp lets answers out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/proxy/answer_cache.h"
#include "agent/proxy/answer_teacher.h"
#include "agent/proxy/flight_table.h"
#include "agent/proxy/proxy_core.h"
#include "agent/proxy/target_table.h"
#include "agent/proxy/turn_queue.h"
#include "agent/proxy/waiting_room.h"
#include "agent/proxy/workload_ledger.h"
#include "policy/dns_message.h"
#include "policy/dns_reply.h"

namespace namewall::agent {

struct ProxyCore::State {
  State(Upstream& upstream_, GrantSink& sink, ProxyOutput& output_, const ProxyLimits& limits_)
      : upstream(upstream_), output(output_), limits(limits_), hash(limits_.seed), teacher(sink) {}

  // ---- question_intake.cpp ----
  void take_in(const ClientQuestion& question);
  // Every level lets it be asked; else it has been answered.
  bool pass_policies(const ClientQuestion& question, std::uint32_t account, DnsQuestion& read);
  // Its asker has room for one more; else it has been answered. Counts it at every level.
  bool pass_bounds(const ClientQuestion& question, const DnsQuestion& read, std::uint32_t account);
  void judge_again(WaitingQuestion& question);

  // ---- proxy_core.cpp ----
  // The question in front goes to the cache, joins a flight or begins one. False: its workload has to wait for room.
  bool ask_next();
  bool may_begin_flight(const WorkloadAccount& account) const;
  void release(std::uint32_t question);  // it is answered, or nobody waits for it any more
  void forget_workload(std::uint64_t cgroup_id);

  // ---- answer_release.cpp ----
  void land(std::uint32_t flight, std::uint32_t generation, const Result<std::span<const std::uint8_t>>& answer);
  // Edits it and stages it with what it teaches, or answers at once; `age` in seconds. The question is released then,
  // or by settle(). False: it is no answer to this question.
  bool let_out(std::uint32_t question, std::span<const std::uint8_t> answer, std::uint32_t age);
  // Teaches what is staged, and only then replies.
  void settle();
  void reply_taught(const WaitingQuestion& question, std::span<const std::uint8_t> answer,
                    const TeachingOutcome& outcome);
  void withhold(const WaitingQuestion& question, const LevelReason& why);
  void give_no_answer(const WaitingQuestion& question);

  void reply_own(const ClientHandle& client, std::span<const std::uint8_t> question, const OwnReply& reply);

  void report(const ClientQuestion& question, Hook hook, const LevelReason& why, bool audit = false);

  // In the figures of the asker's innermost workload, and in those of all.
  void count(std::uint32_t account, std::uint64_t ProxyFigures::*figure) {
    ++(ledger[account].figures.*figure);
    ++(total.*figure);
  }

  Upstream& upstream;
  ProxyOutput& output;
  ProxyLimits limits;
  KeyedHash hash;
  BootTime now;
  AnswerTeacher teacher;
  WorkloadLedger ledger{hash};
  WaitingRoom room{hash};
  TurnQueue queue{ledger, room};
  TargetTable targets{hash};
  FlightTable flights{room};
  AnswerCache cache{limits.cache_bytes};
  ProxyFigures total;
  struct Staged {
    std::uint32_t question = 0;
    std::vector<std::uint8_t> edited;  // as it will be sent
  };
  std::vector<Staged> staged;    // the first staged_count; memory of all is used again
  std::size_t staged_count = 0;  // as in `teacher`
  bool is_batch = false;
};

// For the Extended DNS Error: whose policy, and why.
std::string text_of(const AskerLevel& level, Reason reason);
// Whether every level lets its answers come from the cache, and go there.
bool may_use_cache(const Asker& asker);
// The question as its client put it.
ClientQuestion as_asked(const WaitingQuestion& question, const TargetTable& targets);

}  // namespace namewall::agent
