#include "agent/host/counter_totals.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <string_view>

#include "bpf/abi.h"
#include "policy/reason.h"

namespace namewall::agent {
namespace {

#define NW_COUNTER_CODE(symbol, code) std::string_view(code),
constexpr std::array kCounterCodes{NW_COUNTERS(NW_COUNTER_CODE)};
#undef NW_COUNTER_CODE
constexpr std::size_t kFirstCounter = NW_REASON_COUNT;  // behind the reasons
constexpr std::size_t kValues = kFirstCounter + kCounterCodes.size();

bool is_refused_question(Reason reason) {
  switch (reason) {
    case NW_REASON_NAME_NOT_ALLOWED:
    case NW_REASON_UNTRUSTED_NETNS:
    case NW_REASON_QUESTION_MALFORMED:
    case NW_REASON_QUESTION_NOT_LINEAR:
    case NW_REASON_QUESTION_SEGMENTED:
    case NW_REASON_QUESTION_BUSY:
    case NW_REASON_QUESTION_NO_SLOT:
      return true;
    default:
      return false;
  }
}

// A truncated answer is delivered; it only teaches nothing.
bool is_withheld_answer(Reason reason) {
  switch (reason) {
    case NW_REASON_ANSWER_UNSOLICITED:
    case NW_REASON_ANSWER_MALFORMED:
    case NW_REASON_ANSWER_MISMATCH:
    case NW_REASON_ANSWER_TOO_LONG:
    case NW_REASON_ANSWER_BUSY:
    case NW_REASON_ANSWER_WITHDRAWN:
    case NW_REASON_GRANTS_FULL:
    case NW_REASON_NAMES_FULL:
    case NW_REASON_NAME_CONTENDED:
    case NW_REASON_NAME_COLLISION:
    case NW_REASON_REFUSAL_ANSWERED:
      return true;
    default:
      return false;
  }
}

const char* bound_of(Reason reason) {
  switch (reason) {
    case NW_REASON_GRANTS_FULL:
      return "grants";
    case NW_REASON_NAMES_FULL:
      return "names";
    case NW_REASON_QUESTION_NO_SLOT:
      return "pending_questions";
    default:
      return nullptr;
  }
}

}  // namespace

CounterTotals::Values CounterTotals::values_of(const Counters& counters) {
  Values values(kValues);
  const auto reasons = std::min<std::size_t>(counters.by_reason.size(), NW_REASON_COUNT);
  std::copy_n(counters.by_reason.begin(), reasons, values.begin());
  for (const auto& [code, value] : counters.counters) {
    const auto found = std::find(kCounterCodes.begin(), kCounterCodes.end(), code);
    if (found != kCounterCodes.end()) values[kFirstCounter + (found - kCounterCodes.begin())] = value;
  }
  return values;
}

void CounterTotals::add(CounterSums& sums, const Values& grown) {
  for (std::size_t index = NW_REASON_NONE + 1; index < NW_REASON_COUNT; ++index) {
    if (grown[index] == 0) continue;
    const auto reason = static_cast<Reason>(index);
    sums.refusals[std::string(code_of(reason))] += grown[index];
    if (is_refused_question(reason)) sums.lookups_refused += grown[index];
    if (is_withheld_answer(reason)) sums.answers_withheld += grown[index];
    if (const char* bound = bound_of(reason)) sums.bounds_reached[bound] += grown[index];
  }
  const auto grown_of = [&grown](nw_counter counter) { return grown[kFirstCounter + counter]; };
  sums.lookups_allowed += grown_of(NW_COUNTER_QUESTIONS);
  sums.allowed_by_audit += grown_of(NW_COUNTER_ALLOWED_BY_AUDIT);
  sums.events += grown_of(NW_COUNTER_EVENTS);
  sums.events_left_out += grown_of(NW_COUNTER_EVENTS_LIMITED);
  sums.events_lost += grown_of(NW_COUNTER_EVENTS_LOST);
  sums.helper_failures += grown_of(NW_COUNTER_HELPER_FAILURES);
}

void CounterTotals::record(std::uint32_t workload_id, const std::string& policy, const Counters& counters) {
  LastReading& last = reading_of(workload_id, policy);
  Values now = values_of(counters);
  Values grown(now.size());
  std::transform(
      now.begin(), now.end(), last.values.begin(), grown.begin(),
      [](std::uint64_t current, std::uint64_t before) { return current < before ? current : current - before; });
  add(by_label_[last.label], grown);
  last.values = std::move(now);
}

void CounterTotals::adopt(std::uint32_t workload_id, const std::string& policy, const Counters& counters) {
  reading_of(workload_id, policy).values = values_of(counters);
}

void CounterTotals::end(std::uint32_t workload_id) {
  const auto found = readings_.find(workload_id);
  if (found == readings_.end()) return;
  leave(found->second.label);
  readings_.erase(found);
}

std::string CounterTotals::label_of(const std::string& policy) {
  if (policy == kOther) return kOther;
  if (!places_.contains(policy) && places_.size() >= kMaxPolicies) return kOther;
  places_[policy].last_use = ++uses_;
  by_label_[policy];
  return policy;
}

CounterTotals::LastReading& CounterTotals::reading_of(std::uint32_t workload_id, const std::string& policy) {
  if (!places_.contains(policy) && places_.size() >= kMaxPolicies) make_room();
  const std::string label = label_of(policy);
  const auto [found, is_new] = readings_.try_emplace(workload_id);
  LastReading& last = found->second;
  if (is_new) last.values.resize(kValues);
  if (is_new || last.label != label) {
    if (!is_new) leave(last.label);
    if (label != kOther) ++places_[label].workloads;
    last.label = label;
  }
  return last;
}

void CounterTotals::leave(const std::string& label) {
  if (label == kOther) return;
  Place& place = places_.at(label);
  assert(place.workloads > 0);
  --place.workloads;
}

void CounterTotals::make_room() {
  auto oldest = places_.end();
  for (auto place = places_.begin(); place != places_.end(); ++place) {
    if (place->second.workloads > 0) continue;
    if (oldest == places_.end() || place->second.last_use < oldest->second.last_use) oldest = place;
  }
  if (oldest == places_.end()) return;
  by_label_.erase(oldest->first);
  places_.erase(oldest);
}

}  // namespace namewall::agent
