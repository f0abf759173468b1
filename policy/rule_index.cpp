#include "policy/rule_index.h"

#include <algorithm>

#include "policy/domain_name.h"
#include "policy/pattern_cover.h"

namespace namewall {
namespace {

std::string reversed(std::string_view suffix) {
  std::string text;
  if (suffix.empty()) return text;
  const std::vector<std::string_view> labels = split_labels(suffix);
  for (auto label = labels.rbegin(); label != labels.rend(); ++label) text += std::string(*label) + ".";
  return text;
}

}  // namespace

RuleIndex::RuleIndex(const std::vector<const Rule*>& rules) : all_(rules) {
  for (const Rule* rule : rules) {
    const Host& host = rule->endpoint.host;
    if (const auto* pattern = std::get_if<NamePattern>(&host)) {
      by_suffix_[pattern->literal_suffix()].push_back(rule);
      by_reversed_.emplace_back(reversed(pattern->literal_suffix()), rule);
    } else if (const auto* prefix = std::get_if<Prefix>(&host)) {
      by_prefix_[*prefix].push_back(rule);
    } else {
      any_.push_back(rule);
    }
  }
  std::stable_sort(by_reversed_.begin(), by_reversed_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
}

void RuleIndex::each_with_suffix_of(const NamePattern& pattern, const Visit& visit) const {
  const auto visit_all = [&](std::string_view suffix) {
    const auto found = by_suffix_.find(suffix);
    if (found == by_suffix_.end()) return true;
    return std::all_of(found->second.begin(), found->second.end(),
                       [&](const Rule* rule) { return spend() && visit(*rule); });
  };
  std::string_view suffix = pattern.literal_suffix();
  while (!suffix.empty()) {
    if (!visit_all(suffix)) return;
    const std::size_t dot = suffix.find('.');
    suffix = dot == std::string_view::npos ? std::string_view() : suffix.substr(dot + 1);
  }
  (void)visit_all("");
}

void RuleIndex::each_below(const NamePattern& pattern, const Visit& visit) const {
  if (pattern.is_exact()) return;
  const std::string wanted = reversed(pattern.literal_suffix());
  auto at = std::lower_bound(by_reversed_.begin(), by_reversed_.end(), wanted,
                             [](const auto& entry, const std::string& text) { return entry.first < text; });
  for (; at != by_reversed_.end() && at->first.starts_with(wanted); ++at) {
    if (!spend() || !visit(*at->second)) return;
  }
}

void RuleIndex::each_prefix_within(const Prefix& prefix, const Visit& visit) const {
  for (auto at = by_prefix_.lower_bound(prefix); at != by_prefix_.end(); ++at) {
    if (!prefix.contains(at->first)) {
      // Bases are in order: behind the prefix nothing more is in it.
      if (at->first.is_v4() == prefix.is_v4()) return;
      if (!spend()) return;
      continue;
    }
    if (at->first == prefix) continue;
    for (const Rule* rule : at->second) {
      if (!spend() || !visit(*rule)) return;
    }
  }
}

void RuleIndex::each_covering(const Host& host, const Visit& visit) const {
  for (const Rule* rule : any_) {
    if (!spend() || !visit(*rule)) return;
  }
  if (const auto* pattern = std::get_if<NamePattern>(&host)) {
    each_with_suffix_of(*pattern, [&](const Rule& rule) {
      return !covers(std::get<NamePattern>(rule.endpoint.host), *pattern) || visit(rule);
    });
  } else if (const auto* prefix = std::get_if<Prefix>(&host)) {
    for (unsigned length = 0; length <= prefix->length(); ++length) {
      const auto found = by_prefix_.find(Prefix(prefix->base(), static_cast<std::uint8_t>(length), prefix->is_v4()));
      if (found == by_prefix_.end()) continue;
      for (const Rule* rule : found->second) {
        if (!spend() || !visit(*rule)) return;
      }
    }
  }
}

void RuleIndex::each_within(const Host& host, const Visit& visit) const {
  if (std::holds_alternative<AnyHost>(host)) {
    for (const Rule* rule : all_) {
      if (std::holds_alternative<AnyHost>(rule->endpoint.host)) continue;
      if (!spend() || !visit(*rule)) return;
    }
  } else if (const auto* pattern = std::get_if<NamePattern>(&host)) {
    each_below(*pattern, [&](const Rule& rule) {
      const auto& other = std::get<NamePattern>(rule.endpoint.host);
      return other == *pattern || !covers(*pattern, other) || visit(rule);
    });
  } else {
    each_prefix_within(std::get<Prefix>(host), visit);
  }
}

bool RuleIndex::has_meeting(const Host& host, const PortSet& ports) const {
  bool found = false;
  const Visit look = [&](const Rule& rule) {
    found = may_meet(rule.endpoint.host, host) && !rule.endpoint.ports.intersected(ports).empty();
    return !found;
  };
  each_covering(host, look);
  if (!found) each_within(host, look);
  const auto* pattern = std::get_if<NamePattern>(&host);
  if (!found && pattern != nullptr) each_with_suffix_of(*pattern, look);
  if (!found && pattern != nullptr) each_below(*pattern, look);
  return found || is_exhausted();
}

}  // namespace namewall
