#include "agent/host/live_explanation.h"

#include <algorithm>
#include <chrono>
#include <variant>

#include "agent/explain_target.h"
#include "agent/explanation.h"
#include "agent/report_text.h"
#include "policy/permit.h"
#include "policy/verdict.h"

namespace namewall::agent {
namespace {

GrantTable table_of(const HeldPolicy& held, const std::vector<GrantRecord>& records, BootTime now) {
  std::vector<Grant> grants;
  for (const GrantRecord& record : records) {
    Grant grant = record.grant;
    grant.ports = record.current_ports & kAllPorts;
    grants.push_back(std::move(grant));
  }
  // The kernel's own bound was kept when it learned them; expired ones are shown as well.
  GrantTable table(std::max<std::uint32_t>(held.image()->max_addresses, static_cast<std::uint32_t>(grants.size())));
  for (const Grant& grant : grants) (void)table.learn({grant}, now);
  return table;
}

std::string line_of(const ExplanationStep& step) {
  const char* outcome = step.outcome == ExplanationStep::Outcome::kAllowed   ? ": allowed"
                        : step.outcome == ExplanationStep::Outcome::kRefused ? ": refused"
                                                                             : "";
  return step.stage + ": " + step.detail + outcome;
}

// Grants have no part in these: the walk of the rules says it, with the rule that decides.
bool is_by_rules(Reason reason) {
  return reason == NW_REASON_HOST_DENY || reason == NW_REASON_DENY_RULE || reason == NW_REASON_LOOPBACK;
}

void explain_address(ExplainView& view, const HeldPolicy& held, const std::vector<GrantRecord>& grants,
                     const Explanation& by_rules, const ExplainTarget& target, BootTime now) {
  const Destination destination{target.protocol, std::get<Address>(target.host), target.port};
  const Verdict verdict = judge(*held.image(), table_of(held, grants, now), destination, now);
  view.allowed = verdict.allowed;
  view.reason = namewall::code_of(verdict.reason);
  view.retry = can_retry(verdict.reason);
  if (is_by_rules(verdict.reason)) {
    for (const ExplanationStep& step : by_rules.steps) view.walk.push_back(line_of(step));
    return;
  }
  for (const VerdictStep& step : verdict.walk) {
    view.walk.push_back(step.stage + ": " + step.detail +
                        (!step.decided     ? ""
                         : verdict.allowed ? ": allowed"
                                           : ": refused"));
  }
  for (const DomainName& name : verdict.names) view.walk.push_back("names: " + name.text() + " gave this address");
}

void add_learned(ExplainView& view, const std::vector<GrantRecord>& grants, const DomainName& name, BootTime now) {
  for (const GrantRecord& record : grants) {
    if (!(record.grant.name == name)) continue;
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(record.grant.deadline - now).count();
    std::string line = "learned: " + record.grant.address.to_string();
    if (record.grant.note != NW_REASON_NONE) {
      line += ", teaches nothing: " + std::string(namewall::sentence_of(record.grant.note));
    } else if (record.grant.deadline == kNever) {
      line += ", for as long as the workload lives";
    } else {
      line += left >= 0 ? ", " + std::to_string(left) + " s left" : ", over for " + std::to_string(-left) + " s";
    }
    view.walk.push_back(std::move(line));
  }
}

}  // namespace

Result<ExplainView> explain_live(const std::string& workload, const HeldPolicy& held,
                                 const std::vector<GrantRecord>& grants, const std::vector<Address>& own_addresses,
                                 const std::string& target, BootTime now) {
  const auto parsed = parse_explain_target(target);
  if (!parsed) return tl::unexpected(parsed.error());
  ExplainView view;
  view.workload = workload;
  view.target = parsed->to_string();
  const Explanation by_rules =
      explain({held.policy(), held.host_policy(), *held.image(), own_addresses, nullptr}, *parsed);
  if (by_rules.permit) view.permit = *by_rules.permit;
  if (std::holds_alternative<Address>(parsed->host)) {
    explain_address(view, held, grants, by_rules, *parsed, now);
    if (view.allowed) view.permit.clear();
    return view;
  }
  view.allowed = by_rules.allowed;
  view.reason = namewall::code_of(by_rules.reason);
  view.retry = can_retry(by_rules.reason);
  for (const ExplanationStep& step : by_rules.steps) view.walk.push_back(line_of(step));
  add_learned(view, grants, std::get<DomainName>(parsed->host), now);
  return view;
}

ExplainView explain_refusal(const KeptEvent& kept) {
  const EventView event = view_of(kept);
  ExplainView view;
  view.workload = event.workload;
  view.target = target_of(kept.event);
  view.allowed = kept.event.audit;
  view.reason = event.reason;
  view.walk.push_back(event.hook + " at " + event.time + ": " + event.sentence);
  if (!event.rule.empty()) view.walk.push_back("rule: " + event.rule);
  view.permit = event.permit;
  view.retry = event.retry;
  return view;
}

}  // namespace namewall::agent
