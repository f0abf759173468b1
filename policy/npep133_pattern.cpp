#include "policy/npep133_pattern.h"

#include <algorithm>

#include "policy/domain_name.h"
#include "policy/escape.h"

namespace namewall {
namespace {

constexpr std::string_view kWildcard = "*.";

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool is_first(char c) { return (c >= 'A' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_inner(char c) { return is_alphanumeric(c) || c == '-' || c == '_'; }

bool is_accepted_label(std::string_view label) {
  if (label.empty() || !is_first(label.front())) return false;
  if (label.size() == 1) return true;
  return std::all_of(label.begin() + 1, label.end(), is_inner) && is_alphanumeric(label.back());
}

std::string_view without_trailing_dot(std::string_view text) {
  return text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
}

}  // namespace

Result<Npep133Pattern> Npep133Pattern::parse(std::string_view text) {
  const bool has_wildcard = text.starts_with(kWildcard);
  const std::string_view name = without_trailing_dot(has_wildcard ? text.substr(kWildcard.size()) : text);
  const auto labels = split_labels(name);
  if (labels.size() < 2 || !std::all_of(labels.begin(), labels.end(), is_accepted_label)) {
    return fail(ErrorKind::kInvalid,
                quote_for_display(text) + ": a domain name is two labels or more, with `*.` before them at most");
  }
  return Npep133Pattern(fold_ascii_case(name), has_wildcard);
}

bool Npep133Pattern::matches(std::string_view name) const {
  const std::string folded = fold_ascii_case(without_trailing_dot(name));
  if (!has_wildcard_) return folded == name_;
  const std::string suffix = "." + name_;
  if (!folded.ends_with(suffix)) return false;
  const auto labels = split_labels(std::string_view(folded).substr(0, folded.size() - suffix.size()));
  return !labels.empty() && std::none_of(labels.begin(), labels.end(), [](auto label) { return label.empty(); });
}

}  // namespace namewall
