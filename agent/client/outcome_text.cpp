#include "agent/client/outcome_text.h"

#include "agent/client/phrase.h"
#include "agent/client/sections.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

std::string lines_of(const std::string& text, std::size_t hanging, const Screen& screen) {
  std::string out;
  for (const std::string& line : wrap(text, screen.width, hanging)) out += line + "\n";
  return out;
}

}  // namespace

std::string explain_text(const ExplainView& explanation, const Screen& screen) {
  std::string out =
      escape_for_display(explanation.target) + " from " + escape_for_display(explanation.workload) + ": " +
      paint(screen, explanation.allowed ? Tone::kGood : Tone::kBad, explanation.allowed ? "allowed" : "refused");
  if (!explanation.allowed && !explanation.reason.empty()) out += " (" + escape_for_display(explanation.reason) + ")";
  out += "\n";
  for (const std::string& step : explanation.walk) out += lines_of("  " + escape_for_display(step), 4, screen);
  if (!explanation.permit.empty()) {
    out += lines_of("  to permit it: allow " + quote_for_display(explanation.permit), 4, screen);
  }
  if (!explanation.allowed && explanation.retry) out += "  trying again can help\n";
  return out;
}

std::string reload_text(const ReloadView& reload, const Screen& screen) {
  std::string out =
      lines_of(std::string(reload.ok ? "reloaded: " : "reloaded in part: ") + std::to_string(reload.armed) +
                   " armed, " + std::to_string(reload.replaced) + " replaced, " + std::to_string(reload.let_go) +
                   " let go, " + std::to_string(reload.unchanged) + " unchanged",
               2, screen);
  return out + sentence_list("What is broken keeps its policy before:", reload.errors, screen) +
         sentence_list("Warnings:", reload.warnings, screen);
}

std::string proof_text(const ProofView& proof, const Screen& screen) {
  std::string out = escape_for_display(proof.workload) + ": " +
                    paint(screen, proof.passed ? Tone::kGood : Tone::kBad, proof.passed ? "proved" : "not proved") +
                    "\n";
  for (const std::string& step : proof.steps) out += lines_of("  " + escape_for_display(step), 4, screen);
  return out;
}

std::string armed_text(const ChangeView& change, const Screen& screen) {
  const std::string state = escape_for_display(change.state);
  std::string out =
      escape_for_display(change.workload) + "  " + paint(screen, tone_of_state(change.state), state) + "\n";
  out +=
      fact_line("cgroup", escape_for_display(change.cgroup) + " (id " + std::to_string(change.cgroup_id) + ")", screen);
  out += fact_line("generation", std::to_string(change.generation), screen);
  return out + sentence_list("Why it is " + state + ":", change.why, screen);
}

std::string diagnosis_text(const WorkloadView& workload, const Screen& screen) {
  const std::string state = escape_for_display(workload.state);
  const std::string out =
      escape_for_display(workload.name) + "  " + paint(screen, tone_of_state(workload.state), state) + "\n";
  if (workload.why.empty()) return out + "  Nothing acts for it from outside.\n";
  return out + sentence_list("Why it is " + state + ":", workload.why, screen);
}

std::string lifted_text(const ChangeView& change, const Screen& screen) {
  if (change.lifted.empty()) return "Nothing was armed.\n";
  return sentence_list("No longer held:", change.lifted, screen);
}

}  // namespace namewall::agent
