#include "agent/host/kept_event.h"

#include <optional>

#include "agent/explain_target.h"
#include "agent/matching_rules.h"
#include "agent/report_json.h"
#include "agent/report_text.h"
#include "policy/permit.h"

namespace namewall::agent {
namespace {

std::string_view kind_of(const KeptEvent& kept) {
  if (kept.is_notice) return "notice";
  if (kept.event.audit) return "audit";
  return kept.event.hook == Hook::kAnswer ? "withheld" : "refused";
}

std::string_view reason_code(const KeptEvent& kept) {
  return kept.is_notice ? std::string_view(kept.notice) : code_of(kept.event.reason);
}

std::optional<Protocol> protocol_of(const Event& event) {
  switch (event.ip_protocol) {
    case 6:
      return Protocol::kTcp;
    case 17:
      return Protocol::kUdp;
    case 1:
    case 58:
      return Protocol::kIcmp;
    default:
      return std::nullopt;
  }
}

const Rule* first_with_port(const std::vector<Rule>& rules, const ExplainTarget& target, bool wants_port) {
  for (const Rule* rule : rules_covering(rules, target)) {
    if (has_port(*rule, target) == wants_port) return rule;
  }
  return nullptr;
}

// The rule that decided: of a refused question its deny, of a wrong port the rule with the others.
const Rule* deciding_rule(const HeldPolicy& held, const Event& event) {
  const std::optional<Protocol> protocol = protocol_of(event);
  if (!protocol) return nullptr;
  ExplainTarget target{event.address, *protocol, event.port};
  const std::optional<DomainName> name = [&]() -> std::optional<DomainName> {
    const auto parsed = DomainName::parse(event.name);
    if (!parsed) return std::nullopt;
    return *parsed;
  }();
  switch (event.reason) {
    case NW_REASON_HOST_DENY:
      return first_with_port(held.host_policy().deny, target, true);
    case NW_REASON_DENY_RULE:
      return first_with_port(held.policy().deny, target, true);
    case NW_REASON_NAME_NOT_ALLOWED: {
      if (!name) return nullptr;
      target.host = *name;
      const auto own = rules_covering(held.policy().deny, target);
      if (!own.empty()) return own.front();
      const auto of_host = rules_covering(held.host_policy().deny, target);
      return of_host.empty() ? nullptr : of_host.front();
    }
    case NW_REASON_PORT:
      if (name) target.host = *name;
      return first_with_port(held.policy().allow, target, false);
    default:
      return nullptr;
  }
}

bool has_address(const Event& event) { return event.hook != Hook::kSocket; }

}  // namespace

bool can_retry(Reason reason) {
  switch (reason) {
    case NW_REASON_EXPIRED:  // after another lookup
    case NW_REASON_QUESTION_BUSY:
    case NW_REASON_QUESTION_NO_SLOT:
    case NW_REASON_ANSWER_BUSY:
    case NW_REASON_GRANTS_FULL:
    case NW_REASON_NAMES_FULL:
    case NW_REASON_NAME_CONTENDED:
      return true;
    default:
      return false;
  }
}

std::string rfc3339_milliseconds(Nanoseconds utc) {
  std::string text = rfc3339_utc(utc);  // microseconds
  text.erase(text.size() - 4, 3);
  return text;
}

bool matches(const EventFilter& filter, const KeptEvent& kept) {
  return kept.sequence > filter.since_sequence && (filter.workload.empty() || filter.workload == kept.workload) &&
         (filter.reason.empty() || filter.reason == reason_code(kept));
}

std::string line_of(const KeptEvent& kept) {
  if (kept.is_notice) return kept.notice_sentence;
  return target_of(kept.event) + ": " + std::string(sentence_of(kept.event.reason));
}

EventView view_of(const KeptEvent& kept) {
  const Event& event = kept.event;
  EventView view;
  view.sequence = kept.sequence;
  view.time = rfc3339_milliseconds(kept.utc);
  view.kind = kind_of(kept);
  view.workload = kept.workload;
  if (kept.policy) view.policy = kept.policy->name();
  view.reason = reason_code(kept);
  if (kept.is_notice) {
    view.sentence = kept.notice_sentence;
    return view;
  }
  view.generation = event.policy_generation;
  view.hook = word_of(event.hook);
  view.sentence = sentence_of(event.reason);
  view.name = event.name;
  if (has_address(event)) view.address = event.address.to_string();
  view.port = event.port.number;
  view.protocol = protocol_name(event.ip_protocol);
  view.pid = event.pid;
  view.uid = event.uid;
  view.command = event.command;
  if (kept.policy) {
    if (const Rule* rule = deciding_rule(*kept.policy, event)) view.rule = describe(*rule);
  }
  if (const auto permit = endpoint_that_permits(event)) view.permit = *permit;
  view.left_out = event.left_out;
  view.retry = can_retry(event.reason);
  return view;
}

}  // namespace namewall::agent
