// Why a workload under a policy may reach a target or not: the walk of the verdict (policy/verdict.h) in words, with
// the rules that decided and what would permit a refusal. Pure: answers come as values, and are judged at once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/explain_target.h"
#include "policy/answer_text.h"
#include "policy/policy.h"
#include "policy/policy_image.h"
#include "policy/reason.h"

namespace namewall::agent {

struct ExplanationStep {
  enum class Outcome { kGoesOn, kAllowed, kRefused };
  std::string stage;  // "host deny", "allow rules", "answer A", ...
  std::string detail;
  Outcome outcome = Outcome::kGoesOn;  // of the step that decided; a name with several addresses has one for each
};

struct Explanation {
  bool allowed = false;            // passes: in audit mode also what has a `reason`
  Reason reason = NW_REASON_NONE;  // of a refusal
  std::vector<ExplanationStep> steps;
  std::optional<std::string> permit;  // the endpoint for `allow`
  std::string other_permit;           // another way, "" if none
};

struct ExplainInput {
  const Policy& policy;
  const HostPolicy& host;
  const PolicyImage& image;  // of both
  const std::vector<Address>& own_addresses;
  const std::vector<AnswerRecord>* answers;  // nullptr: none were given
};

Explanation explain(const ExplainInput& input, const ExplainTarget& target);

// One line per step, the deciding one marked, then what would permit it.
std::string to_text(const Explanation& explanation);
std::string to_json(const Explanation& explanation, const ExplainTarget& target);

}  // namespace namewall::agent
