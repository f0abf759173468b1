#include "nft/ruleset.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "nft/chain_sheet.h"

namespace namewall::nft {
namespace {

ChainSheet build_sheet(const RulesetPlan& plan, std::string_view table) {
  ChainSheet sheet{.plan = plan, .table = std::string(table), .base_chains = {}, .chains = {}, .rules = {}};
  add_output_chains(sheet);
  add_input_chains(sheet);
  add_dns_chain(sheet);
  return sheet;
}

void add_chains(Batch& batch, const ChainSheet& sheet, const std::set<std::string>& present = {}) {
  for (const auto& base : sheet.base_chains) {
    if (!present.contains(base.name)) batch.add_base_chain(base.name, base.type, base.hook, base.priority, sheet.table);
  }
  for (const auto& chain : sheet.chains) {
    if (!present.contains(chain)) batch.add_chain(chain, sheet.table);
  }
}

void add_rules(Batch& batch, const ChainSheet& sheet) {
  for (const auto& rule : sheet.rules) batch.add_rule(rule.rule());
}

std::vector<std::string> names_of(const ChainSheet& sheet) {
  std::vector<std::string> names;
  for (const auto& base : sheet.base_chains) names.push_back(base.name);
  names.insert(names.end(), sheet.chains.begin(), sheet.chains.end());
  return names;
}

constexpr std::array<std::string_view, 4> kKinds{"out", "in", "unknown", "own"};
constexpr std::string_view kPrefixStart = "namewall ", kAuditEnd = " audit";

}  // namespace

void add_whole_table(Batch& batch, TableKind kind, const RulesetPlan& plan, std::string_view table) {
  const auto sheet = build_sheet(plan, table);
  batch.add_table(kind, table);
  for (const auto& shape : all_sets()) batch.add_set(shape, table);
  add_chains(batch, sheet);
  add_rules(batch, sheet);
}

void replace_rules(Batch& batch, const RulesetPlan& before, const RulesetPlan& plan, std::string_view table) {
  replace_rules(batch, expected_chains(before), plan, table);
}

void replace_rules(Batch& batch, const std::vector<std::string>& present_chains, const RulesetPlan& plan,
                   std::string_view table) {
  const auto sheet = build_sheet(plan, table);
  const auto names = names_of(sheet);
  for (const auto& name : present_chains) batch.flush_chain(name, table);
  add_chains(batch, sheet, {present_chains.begin(), present_chains.end()});
  add_rules(batch, sheet);
  for (const auto& name : present_chains) {
    if (std::ranges::find(names, name) == names.end()) batch.delete_chain(name, table);
  }
}

std::vector<ListedRule> expected_rules(const RulesetPlan& plan, std::string_view table) {
  std::vector<ListedRule> rules;
  for (const auto& rule : build_sheet(plan, table).rules)
    rules.push_back({.chain = rule.chain(), .handle = 0, .expressions = rule.expressions()});
  return rules;
}

std::vector<std::string> expected_chains(const RulesetPlan& plan) { return names_of(build_sheet(plan, kTableName)); }

std::vector<std::string> compare_rules(const RulesetPlan& plan, const std::vector<ListedRule>& listed,
                                       std::string_view table) {
  std::map<std::string, std::vector<Bytes>> expected, found;
  for (auto& rule : expected_rules(plan, table)) expected[rule.chain].push_back(std::move(rule.expressions));
  for (const auto& rule : listed) found[rule.chain].push_back(in_own_order(rule.expressions));
  std::vector<std::string> differences;
  for (const auto& [chain, rules] : expected) {
    const auto& there = found[chain];
    if (there == rules) continue;
    const auto [ours, theirs] = std::ranges::mismatch(rules, there);
    differences.push_back("chain " + chain + " has " + std::to_string(there.size()) + " rules in the place of " +
                          std::to_string(rules.size()) + ", and another one at position " +
                          std::to_string(ours - rules.begin() + 1));
  }
  for (const auto& [chain, rules] : found) {
    if (!expected.contains(chain))
      differences.push_back("chain " + chain + " has " + std::to_string(rules.size()) + " rules and is not namewall's");
  }
  return differences;
}

std::string to_prefix(const LogPrefix& prefix) {
  return std::string(kPrefixStart) + std::string(kKinds[static_cast<std::size_t>(prefix.kind)]) + " " +
         std::to_string(prefix.depth) + (prefix.is_audit ? std::string(kAuditEnd) : "");
}

std::optional<LogPrefix> parse_prefix(std::string_view text) {
  LogPrefix prefix;
  if (!text.starts_with(kPrefixStart)) return std::nullopt;
  text.remove_prefix(kPrefixStart.size());
  if (text.ends_with(kAuditEnd)) {
    prefix.is_audit = true;
    text.remove_suffix(kAuditEnd.size());
  }
  const auto space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto kind = std::ranges::find(kKinds, text.substr(0, space));
  if (kind == kKinds.end()) return std::nullopt;
  prefix.kind = static_cast<LogPrefix::Kind>(kind - kKinds.begin());
  text.remove_prefix(space + 1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), prefix.depth);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return prefix;
}

}  // namespace namewall::nft
