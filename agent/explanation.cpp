#include "agent/explanation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "agent/matching_rules.h"
#include "policy/duration.h"
#include "policy/host_rules.h"
#include "policy/permit.h"
#include "policy/verdict.h"

namespace namewall::agent {
namespace {

constexpr BootTime kNow{std::chrono::hours(1)};  // any time: nothing expires while it explains
constexpr std::size_t kWholeWalks = 4;           // of a name's addresses; of the others only the deciding step

std::uint8_t ip_protocol_of(Protocol protocol) {
  constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17;  // IPPROTO_*
  switch (protocol) {
    case Protocol::kTcp:
      return kTcp;
    case Protocol::kUdp:
      return kUdp;
    case Protocol::kIcmp:
      break;
  }
  return kIcmp;
}

std::string_view word_of(ExplanationStep::Outcome outcome) {
  switch (outcome) {
    case ExplanationStep::Outcome::kAllowed:
      return "allowed";
    case ExplanationStep::Outcome::kRefused:
      return "refused";
    case ExplanationStep::Outcome::kGoesOn:
      break;
  }
  return "goes on";
}

// Nothing is refused, or the marked line says why as well as a sentence could.
bool needs_no_reason(const Explanation& explanation) {
  if (explanation.reason == NW_REASON_NONE) return true;
  return std::any_of(explanation.steps.begin(), explanation.steps.end(), [](const ExplanationStep& step) {
    return step.outcome == ExplanationStep::Outcome::kRefused &&
           (step.stage == "host deny" || step.stage == "deny rules" || step.stage == "allow rules");
  });
}

std::string join(const std::vector<std::string>& parts, const char* separator) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : separator) + part;
  return text;
}

class Explainer {
 public:
  Explainer(const ExplainInput& input, const ExplainTarget& target)
      : input_(input),
        target_(target),
        grants_(input.image.max_addresses),
        host_denies_(host_denies_for(input.host, input.policy.name)) {}

  Explanation run() {
    if (const auto* name = std::get_if<DomainName>(&target_.host)) {
      explain_name(*name);
    } else {
      explain_address(std::get<Address>(target_.host));
    }
    return std::move(out_);
  }

 private:
  using Outcome = ExplanationStep::Outcome;

  void step(std::string stage, std::string detail, Outcome outcome = Outcome::kGoesOn) {
    out_.steps.push_back({std::move(stage), std::move(detail), outcome});
  }

  void allow() { out_.allowed = true; }

  // `address`: nullopt where none is known; `name`: "" likewise.
  void refuse(Reason reason, const std::optional<Address>& address, const std::string& name) {
    out_.allowed = input_.image.mode == Mode::kAudit;
    out_.reason = reason;
    if (is_denied_by_name(name) || (!address && name.empty())) return;
    if (address && closing_block(*address) != nullptr) return;  // no rule of the policy would permit it
    Event event;
    event.hook = Hook::kConnect;
    event.reason = reason;
    event.ip_protocol = ip_protocol_of(target_.protocol);
    if (address) event.address = *address;
    event.port = target_.port;
    event.name = name;
    out_.permit = endpoint_that_permits(event);
    if (reason == NW_REASON_PRIVATE_ANSWER && !name.empty()) {
      out_.other_permit = "host.toml: private_names = [\"" + name + "\"]";
    }
  }

  bool is_denied_by_name(const std::string& name) const {
    if (name.empty()) return false;
    const ExplainTarget by_name{DomainName::from_normal(name), target_.protocol, target_.port};
    return has_port(host_denies_, by_name) || has_port(input_.policy.deny, by_name);
  }

  // The rules of one list that speak of the target. `decides`: this list is why the question is refused.
  void rules_step(const char* stage, const std::vector<Rule>& rules, bool decides) {
    std::vector<std::string> found;
    for (const Rule* rule : rules_covering(rules, target_)) {
      found.push_back(describe(*rule) + " has " + rule->endpoint.ports.to_string());
    }
    step(stage, found.empty() ? "no rule names it" : join(found, "; "), decides ? Outcome::kRefused : Outcome::kGoesOn);
  }

  void explain_name(const DomainName& name) {
    const QuestionVerdict question = judge_question(input_.image, build_question({.name = name, .type = kTypeA}));
    const bool refused = question.reason != NW_REASON_NONE;
    const auto covers = [&](const std::vector<Rule>& rules) { return !rules_covering(rules, target_).empty(); };
    const bool is_named = covers(input_.policy.allow);
    const bool by_host = refused && take_all(host_denies_, input_.policy.allow, target_);
    const bool by_deny = refused && is_named && !by_host && covers(input_.policy.deny);
    const bool takes_port = !refused && input_.answers == nullptr && has_port(host_denies_, target_);
    rules_step("host deny", host_denies_, by_host || takes_port);
    rules_step("deny rules", input_.policy.deny, by_deny);
    rules_step("allow rules", input_.policy.allow, refused && !by_host && !by_deny);
    if (refused) {
      step("question", question.may_ask ? "would not be sent" : "is not sent");
      return refuse(question.reason, std::nullopt, name.text());
    }
    const std::string way = input_.image.learn == Learn::kProxy ? ", by the DNS proxy" : "";
    step("question",
         (question.decision.teaches() ? "may be asked" : "may be asked, as a form of the search list") + way);
    if (input_.answers == nullptr) return explain_without_answers(name, question.decision, takes_port);
    explain_answers(name);
  }

  std::string granted(PortMask ports) const {
    const std::string text = input_.image.ports_of(ports & kAllPorts).to_string();
    return text.empty() ? "nothing" : text;
  }

  std::string lifetime() const {
    if (input_.image.retain == Retain::kWorkload) return "for as long as the workload lives";
    if (input_.image.retain == Retain::kUntilNextAnswer) return "until the next answer to the same question";
    return "for its TTL and " + format_duration(input_.image.grace);
  }

  void explain_without_answers(const DomainName& name, const NameDecision& decision, bool is_decided) {
    const PortMask port = input_.image.mask_of(target_.protocol, target_.port);
    const bool has_target = ((decision.allow | decision.allow_private) & port) != 0;
    const std::string time = decision.teaches() ? ", " + lifetime() : "";
    step("answer",
         "grants " + granted(decision.allow) + " for public addresses, " + granted(decision.allow_private) +
             " for private ones" + time,
         has_target   ? Outcome::kAllowed
         : is_decided ? Outcome::kGoesOn
                      : Outcome::kRefused);
    if (has_target) return allow();
    refuse(decision.teaches() ? NW_REASON_PORT : NW_REASON_NAME_NOT_ALLOWED, std::nullopt, name.text());
  }

  // Learns from the answers to A and AAAA. Returns the addresses they name for `name`.
  std::vector<Address> learn(const DomainName& name) {
    std::vector<Address> addresses;
    for (const std::uint16_t type : {kTypeA, kTypeAaaa}) {
      const std::string stage = type == kTypeA ? "answer A" : "answer AAAA";
      const auto message = build_answer({.name = name, .type = type}, *input_.answers);
      const bool by_proxy = input_.image.learn == Learn::kProxy;
      const Teaching teaching =
          (by_proxy ? judge_proxied_answer : judge_answer)(input_.image, message, input_.own_addresses, kNow);
      if (!teaching.deliver) {
        step(stage, "withheld: " + std::string(sentence_of(teaching.reason)));
      } else if (grants_.learn(teaching.grants, kNow) == LearnOutcome::kGrantsFull) {
        step(stage, "withheld: " + std::string(sentence_of(NW_REASON_GRANTS_FULL)));
      } else {
        describe_teaching(stage, name, type, teaching);
        for (const Grant& grant : teaching.grants) addresses.push_back(grant.address);
      }
    }
    return addresses;
  }

  void describe_teaching(const std::string& stage, const DomainName& name, std::uint16_t type,
                         const Teaching& teaching) {
    std::set<Address> taught;
    for (const Grant& grant : teaching.grants) {
      taught.insert(grant.address);
      if (grant.note != NW_REASON_NONE) {
        step(stage, grant.address.to_string() + ": " + std::string(sentence_of(grant.note)));
      } else {
        const std::string until =
            grant.deadline == kNever ? lifetime() : "for " + format_duration(grant.deadline - kNow);
        step(stage, grant.address.to_string() + " is granted " + granted(grant.ports) + " " + until);
      }
    }
    for (const AnswerRecord& record : *input_.answers) {
      const auto* address = std::get_if<Address>(&record.value);
      if (address == nullptr || record.type() != type || !taught.insert(*address).second) continue;
      step(stage, address->to_string() + " belongs to " + record.owner.text() + ", to which no alias leads from " +
                      name.text() + ": it teaches nothing");
    }
    if (taught.empty()) step(stage, "no address");
  }

  void explain_answers(const DomainName& name) {
    std::vector<Address> addresses = learn(name);
    if (addresses.empty()) {
      step("grants", "no answer gave an address", Outcome::kRefused);
      return refuse(NW_REASON_NOT_LOOKED_UP, std::nullopt, "");
    }
    // One address that may be reached is enough: clients try them in turn.
    bool any_allowed = false;
    std::optional<std::pair<Address, Reason>> first_refusal;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      const Verdict verdict = judge(input_.image, grants_, {target_.protocol, addresses[i], target_.port}, kNow);
      step("address", addresses[i].to_string());
      walk_steps(verdict, addresses[i], i < kWholeWalks);
      any_allowed = any_allowed || verdict.reason == NW_REASON_NONE;
      if (verdict.reason != NW_REASON_NONE && !first_refusal) first_refusal = {addresses[i], verdict.reason};
    }
    if (any_allowed) return allow();
    refuse(first_refusal->second, first_refusal->first, name.text());
  }

  void walk_steps(const Verdict& verdict, const Address& address, bool whole) {
    const ExplainTarget by_address{address, target_.protocol, target_.port};
    for (const VerdictStep& walked : verdict.walk) {
      if (!whole && !walked.decided) continue;
      std::string detail = walked.detail;
      if (walked.decided) detail += deciding_rule(walked.stage, by_address);
      const Outcome decision = verdict.reason == NW_REASON_NONE ? Outcome::kAllowed : Outcome::kRefused;
      const bool is_closed =
          walked.decided && verdict.reason == NW_REASON_LOOPBACK && closing_block(address) != nullptr;
      step(walked.stage, detail, walked.decided && !is_closed ? decision : Outcome::kGoesOn);
      if (is_closed) loopback_step(*closing_block(address));
    }
    if (verdict.reason == NW_REASON_LOOPBACK && !input_.image.may_listen) {
      step("host deny", "nothing listens in this workload, for itself neither: `limits.listen` (" +
                            input_.host.listen_limit.origin.to_string() + ")");
    }
  }

  void loopback_step(const Rule& block) {
    step("host deny", "loopback is closed but to sockets of the workload itself: " + describe(block),
         Outcome::kRefused);
  }

  const Rule* closing_block(const Address& address) const { return rule_closing_loopback(host_denies_, address); }

  // ": `*://10.0.0.0/8:*` (builder.toml:4:12)", for stages that are lists of address rules.
  std::string deciding_rule(const std::string& stage, const ExplainTarget& by_address) const {
    const std::vector<Rule>* rules = stage == "host deny"       ? &host_denies_
                                     : stage == "deny rules"    ? &input_.policy.deny
                                     : stage == "address rules" ? &input_.policy.allow
                                                                : nullptr;
    if (rules == nullptr) return "";
    const bool is_loopback = is_loopback_destination(std::get<Address>(by_address.host));
    for (const Rule* rule : rules_covering(*rules, by_address)) {
      if (is_loopback && spares_own_loopback(*rule)) continue;  // not what this stage compares (closing_block)
      if (has_port(*rule, by_address)) return ": " + describe(*rule);
    }
    return "";
  }

  void explain_address(const Address& address) {
    if (input_.answers != nullptr) {
      for (const DomainName& name : asked_names(*input_.answers)) learn_for(name);
    }
    const Verdict verdict = judge(input_.image, grants_, {target_.protocol, address, target_.port}, kNow);
    walk_steps(verdict, address, true);
    if (verdict.reason == NW_REASON_NONE) return allow();
    const bool has_own = input_.image.loopback == Loopback::kOwn;
    if (verdict.reason == NW_REASON_LOOPBACK && has_own && closing_block(address) == nullptr) {
      step("loopback", "a socket of the workload itself would be reached");
    }
    refuse(verdict.reason, address, verdict.names.empty() ? "" : verdict.names.front().text());
  }

  void learn_for(const DomainName& name) {
    if (judge_question(input_.image, build_question({.name = name, .type = kTypeA})).reason != NW_REASON_NONE) {
      return step("question", name.text() + " is not asked: no rule names it");
    }
    step("question", name.text() + " may be asked");
    learn(name);
  }

  const ExplainInput& input_;
  const ExplainTarget& target_;
  GrantTable grants_;
  std::vector<Rule> host_denies_;
  Explanation out_;
};

}  // namespace

Explanation explain(const ExplainInput& input, const ExplainTarget& target) { return Explainer(input, target).run(); }

std::string to_text(const Explanation& explanation) {
  constexpr std::size_t kStageWidth = 13;
  std::string text;
  const auto line = [&](std::string stage, const std::string& rest) {
    stage.resize(std::max(stage.size(), kStageWidth), ' ');
    text += " " + stage + " " + rest + "\n";
  };
  const bool passes_in_audit = explanation.allowed && explanation.reason != NW_REASON_NONE;
  for (const ExplanationStep& step : explanation.steps) {
    std::string mark;
    if (step.outcome == ExplanationStep::Outcome::kAllowed) mark = "  <- allowed here";
    if (step.outcome == ExplanationStep::Outcome::kRefused) mark = "  <- refused here";
    if (step.outcome == ExplanationStep::Outcome::kRefused && passes_in_audit) mark += "; audit mode lets it pass";
    line(step.stage, step.detail + mark);
  }
  if (!needs_no_reason(explanation)) line("reason", std::string(sentence_of(explanation.reason)));
  if (explanation.permit) {
    line("permit", "\"" + *explanation.permit + "\"" +
                       (explanation.other_permit.empty() ? "" : "   or " + explanation.other_permit));
  }
  return text;
}

std::string to_json(const Explanation& explanation, const ExplainTarget& target) {
  nlohmann::ordered_json out;
  out["target"] = target.to_string();
  out["allowed"] = explanation.allowed;
  if (explanation.reason != NW_REASON_NONE) {
    out["reason"] = code_of(explanation.reason);
    out["sentence"] = sentence_of(explanation.reason);
  }
  out["walk"] = nlohmann::ordered_json::array();
  for (const ExplanationStep& step : explanation.steps) {
    out["walk"].push_back({{"stage", step.stage}, {"detail", step.detail}, {"outcome", word_of(step.outcome)}});
  }
  if (explanation.permit) out["permit"] = *explanation.permit;
  if (!explanation.other_permit.empty()) out["other_permit"] = explanation.other_permit;
  return out.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace namewall::agent
