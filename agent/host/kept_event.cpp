#include "agent/host/kept_event.h"

#include <algorithm>
#include <optional>

#include "agent/explain_target.h"
#include "agent/matching_rules.h"
#include "agent/report_json.h"
#include "agent/report_text.h"
#include "policy/host_rules.h"
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

// "": nothing of the host's has to do with it. Of a listener, or a loopback peer, that the host took away.
std::string closing_limit(const HeldPolicy& held, const std::vector<Rule>& host_denies, const Event& event) {
  switch (event.reason) {
    case NW_REASON_INBOUND_TCP:
    case NW_REASON_BIND_PORT:
    case NW_REASON_INBOUND_UDP:
      if (held.image()->may_listen) return "";
      return "`limits.listen` (" + held.host_policy().listen_limit.origin.to_string() + ")";
    case NW_REASON_LOOPBACK:
      if (const Rule* rule = rule_closing_loopback(host_denies, event.address)) return describe(*rule);
      return "";
    default:
      return "";
  }
}

// The rule that decided: of a refused question its deny, of a wrong port the rule with the others.
const Rule* deciding_rule(const HeldPolicy& held, const std::vector<Rule>& host_denies, const Event& event) {
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
      return first_with_port(host_denies, target, true);
    case NW_REASON_DENY_RULE:
      return first_with_port(held.policy().deny, target, true);
    case NW_REASON_NAME_NOT_ALLOWED: {
      if (!name) return nullptr;
      target.host = *name;
      const auto own = rules_covering(held.policy().deny, target);
      if (!own.empty()) return own.front();
      for (const Rule* rule : rules_covering(host_denies, target)) {
        if (rule->endpoint.ports == PortSet::all()) return rule;
      }
      const bool is_by_host = take_all(host_denies, held.policy().allow, target);
      return is_by_host ? rules_covering(host_denies, target).front() : nullptr;
    }
    case NW_REASON_PORT:
      if (name) target.host = *name;
      if (const Rule* rule = first_with_port(host_denies, target, true)) return rule;
      if (const Rule* rule = first_with_port(held.policy().deny, target, true)) return rule;
      return first_with_port(held.policy().allow, target, false);
    default:
      return nullptr;
  }
}

bool is_among(const std::vector<Rule>& rules, const Rule* rule) {
  return std::any_of(rules.begin(), rules.end(), [&](const Rule& one) { return &one == rule; });
}

// Where a denial decided: whose, for the kernel's reason does not tell it of names and listeners. Else "".
std::string denial_of(const HeldPolicy& held, const std::vector<Rule>& host_denies, const Event& event,
                      const Rule* decided) {
  const bool is_of_name = event.reason == NW_REASON_NAME_NOT_ALLOWED || event.reason == NW_REASON_PORT;
  if (is_among(host_denies, decided)) return is_of_name ? "the host policy denies it" : "";
  if (is_among(held.policy().deny, decided)) return is_of_name ? "a deny rule names it" : "";
  if (decided != nullptr || closing_limit(held, host_denies, event).empty()) return "";
  return event.reason == NW_REASON_LOOPBACK ? "the host policy denies this address"
                                            : "the host policy denies listening";
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
  std::string denial;
  if (kept.policy) {
    const std::vector<Rule> host_denies = host_denies_for(kept.policy->host_policy(), kept.policy->policy().name);
    const Rule* rule = deciding_rule(*kept.policy, host_denies, event);
    view.rule = rule != nullptr ? describe(*rule) : closing_limit(*kept.policy, host_denies, event);
    denial = denial_of(*kept.policy, host_denies, event, rule);
  }
  if (!denial.empty()) {
    view.sentence = denial;  // and no rule of `allow` would permit it
  } else if (const auto permit = endpoint_that_permits(event)) {
    view.permit = *permit;
  }
  view.left_out = event.left_out;
  view.retry = can_retry(event.reason);
  return view;
}

}  // namespace namewall::agent
