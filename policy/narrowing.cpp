#include "policy/narrowing.h"

#include <algorithm>
#include <string_view>
#include <variant>

namespace namewall {
namespace {

constexpr std::size_t kCellsOfOneRule = 16;  // compared in about the time that another rule takes

// Whether some text matches both, where '*' stands for any characters. In time |a| * |b|, which is added to `work`:
// patterns are chosen by anybody.
bool may_labels_meet(std::string_view a, std::string_view b, std::size_t& work) {
  if (a == b || a == "*" || b == "*") return true;
  const bool is_plain_a = a.find('*') == std::string_view::npos, is_plain_b = b.find('*') == std::string_view::npos;
  if (is_plain_a && is_plain_b) return false;
  work += a.size() * b.size() / kCellsOfOneRule;
  std::vector<char> row(b.size() + 1), above(b.size() + 1);
  for (std::size_t i = 0; i <= a.size(); ++i) {
    std::swap(row, above);
    for (std::size_t j = 0; j <= b.size(); ++j) {
      const bool is_star_a = i > 0 && a[i - 1] == '*', is_star_b = j > 0 && b[j - 1] == '*';
      bool meets = i == 0 && j == 0;
      if (is_star_a) meets = above[j] != 0 || (j > 0 && row[j - 1] != 0);
      if (is_star_b) meets = meets || row[j - 1] != 0 || (i > 0 && above[j] != 0);
      if (i > 0 && j > 0 && a[i - 1] == b[j - 1]) meets = meets || above[j - 1] != 0;
      row[j] = meets ? 1 : 0;
    }
  }
  return row[b.size()] != 0;
}

bool may_meet_backwards(const std::vector<std::string_view>& a, bool a_deeper, const std::vector<std::string_view>& b,
                        bool b_deeper, std::size_t& work) {
  const std::size_t shared = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < shared; ++i) {
    if (!may_labels_meet(a[a.size() - 1 - i], b[b.size() - 1 - i], work)) return false;
  }
  // "**." is at least one label more.
  if (a.size() == b.size()) return a_deeper == b_deeper;
  return a.size() < b.size() ? a_deeper : b_deeper;
}

bool may_meet(const NamePattern& a, const NamePattern& b, std::size_t& work) {
  const auto without_depth = [](const NamePattern& pattern) {
    return std::string_view(pattern.text()).substr(pattern.is_any_depth() ? 3 : 0);
  };
  return may_meet_backwards(split_labels(without_depth(a)), a.is_any_depth(), split_labels(without_depth(b)),
                            b.is_any_depth(), work);
}

bool covers(const Host& outer, const Host& inner) {
  if (std::holds_alternative<AnyHost>(outer)) return true;
  if (const auto* prefix = std::get_if<Prefix>(&outer)) {
    const auto* other = std::get_if<Prefix>(&inner);
    return other != nullptr && prefix->contains(*other);
  }
  const auto* pattern = std::get_if<NamePattern>(&inner);
  return pattern != nullptr && *pattern == std::get<NamePattern>(outer);
}

bool may_meet(const Host& a, const Host& b, std::size_t& work) {
  if (std::holds_alternative<AnyHost>(a) || std::holds_alternative<AnyHost>(b)) return true;
  if (a.index() != b.index()) return false;
  if (const auto* prefix = std::get_if<Prefix>(&a)) {
    const Prefix& other = std::get<Prefix>(b);
    return prefix->contains(other) || other.contains(*prefix);
  }
  return may_meet(std::get<NamePattern>(a), std::get<NamePattern>(b), work);
}

// The ports of what a level allows that may meet the host. Not all of them once `work` is beyond its bound.
PortSet allowed_by(const LevelAbove& level, const Host& host, std::size_t& work) {
  PortSet ports;
  for (const Rule& rule : level.policy->allow) {
    if (may_meet(rule.endpoint.host, host, work)) ports = ports.united(rule.endpoint.ports);
    if (work > kMaxNarrowingWork) break;
  }
  return ports;
}

// What a level lets of the endpoint through, as far as rules tell.
PortSet permitted(const Endpoint& endpoint, const LevelAbove& level, std::size_t& work) {
  if (const auto* pattern = std::get_if<NamePattern>(&endpoint.host); pattern != nullptr && pattern->is_exact()) {
    const NameDecision decision = decide_name(*level.image, DomainName::from_normal(pattern->text()));
    return endpoint.ports.intersected(level.image->ports_of(decision.allow & kAllPorts));
  }
  if (const auto* prefix = std::get_if<Prefix>(&endpoint.host)) {
    const AddressDecision decision = decide_prefix(*level.image, *prefix);
    const PortSet ports = level.image->ports_of(decision.allow).united(allowed_by(level, endpoint.host, work));
    return endpoint.ports.intersected(ports.minus(level.image->ports_of(decision.deny | decision.host_deny)));
  }
  PortSet ports = allowed_by(level, endpoint.host, work);
  for (const Rule& rule : level.policy->deny) {
    if (covers(rule.endpoint.host, endpoint.host)) ports = ports.minus(rule.endpoint.ports);
  }
  return endpoint.ports.intersected(ports);
}

std::size_t work_for(const Endpoint& endpoint, const LevelAbove& level) {
  const auto* pattern = std::get_if<NamePattern>(&endpoint.host);
  if (pattern != nullptr && pattern->is_exact()) {
    return 1 + level.image->globs.size() * (1 + pattern->text().size() / kCellsOfOneRule);
  }
  return 1 + level.policy->allow.size() + level.policy->deny.size();
}

std::string sentence_for(const Endpoint& endpoint, const LevelAbove& level, const PortSet& left) {
  const std::string subject = to_canonical_string(endpoint);
  if (left.empty()) return subject + ": without effect, " + level.name + " permits nothing of it";
  return subject + ": only " + left.to_string() + " has effect, " + level.name + " permits no more of it";
}

}  // namespace

bool may_meet(const NamePattern& a, const NamePattern& b) {
  std::size_t work = 0;
  return may_meet(a, b, work);
}

std::vector<std::string> find_without_effect(const std::vector<Rule>& allow, std::span<const LevelAbove> above) {
  std::vector<std::string> sentences;
  std::size_t work = 0;
  for (const Rule& rule : allow) {
    for (const LevelAbove& level : above) {
      work += work_for(rule.endpoint, level);
      const PortSet left = work > kMaxNarrowingWork ? PortSet() : permitted(rule.endpoint, level, work);
      if (work > kMaxNarrowingWork) {
        sentences.push_back(to_canonical_string(rule.endpoint) +
                            " and those behind it were not compared: too many rules");
        return sentences;
      }
      if (left == rule.endpoint.ports) continue;
      sentences.push_back(sentence_for(rule.endpoint, level, left));
      break;  // the nearest that cuts it is enough
    }
  }
  return sentences;
}

}  // namespace namewall
