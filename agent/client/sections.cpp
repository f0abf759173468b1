#include "agent/client/sections.h"

#include "agent/client/table.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kLabelColumn = 14;

}  // namespace

std::string fact_line(std::string_view label, std::string_view text, const Screen& screen) {
  std::string whole = "  " + std::string(label);
  whole.append(whole.size() < kLabelColumn ? kLabelColumn - whole.size() : 1, ' ');
  std::string out;
  for (const std::string& line : wrap(whole + std::string(text), screen.width, kLabelColumn)) out += line + "\n";
  return out;
}

std::string sentence_list(std::string_view title, const std::vector<std::string>& sentences, const Screen& screen) {
  if (sentences.empty()) return {};
  std::string out = std::string(title) + "\n";
  for (const std::string& sentence : sentences) {
    for (const std::string& line : wrap("  - " + escape_for_display(sentence), screen.width, 4)) out += line + "\n";
  }
  return out;
}

Tone tone_of_state(std::string_view state) {
  if (state == "enforcing" || state == "in force") return Tone::kGood;
  if (state == "judging" || state == "audit" || state == "partial" || state == "kept") return Tone::kWarning;
  return Tone::kBad;
}

std::string origin_of(const WorkloadView& workload) {
  return escape_for_display(workload.file.empty() ? workload.origin : workload.file);
}

std::string rules_table(const std::vector<RuleView>& rules, const Screen& screen) {
  Table table(
      {{"  ACTION", false, 0, 6}, {"RULE", false, 0, 20}, {"ORIGIN", false, 1, 14, true}, {"NOTE", false, 1, 8}});
  for (const RuleView& rule : rules) {
    const std::string note = rule.dead ? "dead: " + escape_for_display(rule.decided_by) + " decides" : "";
    table.add(
        {"  " + escape_for_display(rule.action), escape_for_display(rule.rule), escape_for_display(rule.origin), note});
  }
  return table.is_empty() ? std::string() : table.to_string(screen.width);
}

}  // namespace namewall::agent
