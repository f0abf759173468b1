#include "policy/pattern_cover.h"

#include <algorithm>
#include <vector>

#include "policy/domain_name.h"
#include "policy/label_glob.h"
#include "policy/policy_image.h"

namespace namewall {
namespace {

// A star of `narrow` is a character like any other, which only a star of `wide` matches.
bool labels_cover(const std::vector<std::string_view>& wide, const std::vector<std::string_view>& narrow,
                  std::size_t count) {
  const auto offset = static_cast<std::ptrdiff_t>(count);
  return std::equal(wide.rbegin(), wide.rbegin() + offset, narrow.rbegin(), label_glob_matches);
}

// The labels behind a leading "**.".
std::vector<std::string_view> fixed_labels(const NamePattern& pattern) {
  std::vector<std::string_view> labels = split_labels(pattern.text());
  if (pattern.is_any_depth()) labels.erase(labels.begin());
  return labels;
}

bool is_suffix_of(std::string_view suffix, std::string_view name) {
  if (suffix.empty() || suffix == name) return true;
  return name.size() > suffix.size() && name.ends_with(suffix) && name[name.size() - suffix.size() - 1] == '.';
}

bool patterns_may_meet(const NamePattern& a, const NamePattern& b) {
  if (a.is_exact()) return b.matches(DomainName::from_normal(a.text()));
  if (b.is_exact()) return a.matches(DomainName::from_normal(b.text()));
  return is_suffix_of(a.literal_suffix(), b.literal_suffix()) || is_suffix_of(b.literal_suffix(), a.literal_suffix());
}

}  // namespace

bool covers(const NamePattern& wide, const NamePattern& narrow) {
  if (wide.is_exact()) return wide == narrow;
  const std::vector<std::string_view> w = fixed_labels(wide), n = fixed_labels(narrow);
  if (wide.is_any_depth()) {
    const std::size_t least = narrow.is_any_depth() ? w.size() : w.size() + 1;
    return n.size() >= least && labels_cover(w, n, w.size());
  }
  return !narrow.is_any_depth() && n.size() == w.size() && labels_cover(w, n, w.size());
}

bool covers(const Host& wide, const Host& narrow) {
  if (std::holds_alternative<AnyHost>(wide)) return true;
  if (const auto* pattern = std::get_if<NamePattern>(&wide)) {
    const auto* other = std::get_if<NamePattern>(&narrow);
    return other != nullptr && covers(*pattern, *other);
  }
  const auto* other = std::get_if<Prefix>(&narrow);
  return other != nullptr && std::get<Prefix>(wide).contains(*other);
}

bool may_meet(const Host& a, const Host& b) {
  if (std::holds_alternative<AnyHost>(a) || std::holds_alternative<AnyHost>(b)) return true;
  if (const auto* pattern = std::get_if<NamePattern>(&a)) {
    const auto* other = std::get_if<NamePattern>(&b);
    return other != nullptr && patterns_may_meet(*pattern, *other);
  }
  return covers(a, b) || covers(b, a);
}

bool allow_covers(const Host& wide, const Host& narrow) {
  if (!covers(wide, narrow)) return false;
  const auto is_loopback = [](const Host& host) {
    const auto* prefix = std::get_if<Prefix>(&host);
    if (prefix == nullptr || !is_loopback_destination(prefix->base())) return false;
    return prefix->is_v4() ? prefix->length() >= 8 : prefix->length() >= 127;
  };
  return !is_loopback(narrow) || is_loopback(wide);
}

}  // namespace namewall
