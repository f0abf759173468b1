#include "agent/expectations.h"

#include "agent/explain_target.h"
#include "agent/explanation.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

bool is_allowed(const ExplainInput& input, const ExplainTarget& target) {
  if (const auto* name = std::get_if<DomainName>(&target.host)) {
    return (decide_name(input.image, *name).allow & input.image.mask_of(target.protocol, target.port)) != 0;
  }
  const Explanation explanation = explain(input, target);
  return explanation.allowed && explanation.reason == NW_REASON_NONE;
}

// The step of the walk that decided.
std::string why(const Explanation& explanation) {
  for (const ExplanationStep& step : explanation.steps) {
    if (step.outcome != ExplanationStep::Outcome::kGoesOn) return "; " + step.stage + ": " + step.detail;
  }
  return "";
}

}  // namespace

std::vector<Diagnostic> failed_expectations(const Policy& policy, const HostPolicy& host, const PolicyImage& image) {
  std::vector<Diagnostic> failed;
  const std::vector<Address> no_own_addresses;
  const ExplainInput input{policy, host, image, no_own_addresses, nullptr};
  for (const Expectation& expectation : policy.expect) {
    const auto fail_with = [&](std::string message) {
      failed.push_back({Diagnostic::Severity::kError, expectation.origin, std::move(message)});
    };
    const Result<ExplainTarget> target = parse_explain_target(expectation.target);
    if (!target) {
      fail_with("a target: " + target.error().what);
    } else if (is_allowed(input, *target) != expectation.allowed) {
      fail_with("expected " + quote_for_display(expectation.target) + " to be " +
                (expectation.allowed ? "allowed, and it is refused" : "refused, and it is allowed") +
                why(explain(input, *target)));
    }
  }
  return failed;
}

}  // namespace namewall::agent
