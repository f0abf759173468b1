#include "policy/overlap.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "policy/denied_rules.h"
#include "policy/overlap_words.h"
#include "policy/parent_overlap.h"
#include "policy/redundant_rules.h"
#include "policy/wide_rules.h"

namespace namewall {
namespace {

constexpr std::size_t kShown = 3;

class Findings {
 public:
  explicit Findings(const Policy& policy) : policy_(policy) {
    for (const Rule& rule : policy.allow) ++totals_[rule.from];
  }

  void add(const RuleLoss& loss) {
    if (!loss.rule->from.empty()) return add_to_list(loss);
    if (!loss.impossible.empty()) {
      if (!dead_.insert(loss.rule).second) return;
      return error(loss.rule->origin, in_quotes(*loss.rule) + " cannot be satisfied: " + loss.impossible);
    }
    for (const std::string& sentence : loss.sentences) {
      warning(loss.rule->origin, in_quotes(*loss.rule) + ": " + sentence);
    }
  }

  bool is_dead(const Rule& rule) const { return dead_.contains(&rule); }
  void error(const Origin& origin, std::string message) {
    found_.push_back({Diagnostic::Severity::kError, origin, std::move(message)});
  }
  void warning(const Origin& origin, std::string message) {
    found_.push_back({Diagnostic::Severity::kWarning, origin, std::move(message)});
  }

  std::vector<Diagnostic> take() {
    for (const auto& [from, list] : lists_) tell_of_list(from, list);
    return std::move(found_);
  }

 private:
  // What the rules of one group or manifest lose.
  struct List {
    std::vector<std::string> impossible, less;
    std::string first_reason;
  };

  void add_to_list(const RuleLoss& loss) {
    List& list = lists_[loss.rule->from];
    if (!loss.impossible.empty()) {
      if (!dead_.insert(loss.rule).second) return;
      if (list.impossible.empty()) list.first_reason = loss.impossible;
      list.impossible.push_back(in_quotes(*loss.rule));
    } else {
      list.less.push_back(in_quotes(*loss.rule) + " (" + loss.sentences.front() + ")");
    }
  }

  void tell_of_list(const std::string& from, const List& list) {
    const std::string total = std::to_string(totals_[from]);
    if (list.impossible.size() == totals_[from]) {
      return error(policy_.origin, from + " cannot be satisfied, in none of its " + total +
                                       (totals_[from] == 1 ? " rule: " : " rules: ") + list.impossible.front() + ": " +
                                       list.first_reason);
    }
    if (!list.impossible.empty()) {
      warning(policy_.origin, from + ": " + std::to_string(list.impossible.size()) + " of its " + total +
                                  " rules cannot be satisfied: " + join_some(list.impossible, kShown) +
                                  "; of the first: " + list.first_reason);
    }
    if (!list.less.empty()) {
      warning(policy_.origin, from + ": " + std::to_string(list.less.size()) + " of its " + total +
                                  " rules are cut: " + join_some(list.less, kShown));
    }
  }

  const Policy& policy_;
  std::map<std::string, std::size_t> totals_;
  std::map<std::string, List> lists_;
  std::set<const Rule*> dead_;
  std::vector<Diagnostic> found_;
};

}  // namespace

std::vector<Diagnostic> check_overlap(const OverlapInput& input) {
  Findings findings(input.policy);
  bool is_exhausted = false;
  for (const RuleLoss& loss : find_denied_rules(input, is_exhausted)) findings.add(loss);
  for (const RuleLoss& loss : find_unpermitted_rules(input, is_exhausted)) findings.add(loss);
  for (const std::string& sentence : find_unpermitted_listening(input)) findings.warning(input.policy.origin, sentence);
  for (const RedundantRule& redundant : find_redundant_rules(input, is_exhausted)) {
    if (findings.is_dead(*redundant.rule)) continue;
    findings.warning(redundant.rule->origin, in_quotes(*redundant.rule) + " " + redundant.sentence);
  }
  for (const Rule& rule : input.policy.allow) {
    if (!rule.from.empty() || findings.is_dead(rule)) continue;
    const std::string surprise = describe_surprise(rule, input);
    if (!surprise.empty()) findings.warning(rule.origin, in_quotes(rule) + ": " + surprise);
  }
  if (is_exhausted) {
    findings.warning(input.policy.origin, "the lists are too long and too much alike to be compared to their end");
  }
  std::vector<Diagnostic> found = findings.take();
  std::stable_sort(found.begin(), found.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::pair(a.origin.line, a.origin.column) < std::pair(b.origin.line, b.origin.column);
  });
  return found;
}

}  // namespace namewall
