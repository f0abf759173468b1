#include "policy/cilium_pattern.h"

#include <algorithm>
#include <vector>

#include "policy/domain_name.h"
#include "policy/escape.h"
#include "policy/label_glob.h"

namespace namewall {
namespace {

constexpr std::size_t kMaxLength = 255;

bool is_stars_alone(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  return !text.empty() && text.find_first_not_of('*') == std::string_view::npos;
}

std::string with_trailing_dot(std::string text) {
  if (!text.empty() && text.back() != '.') text += '.';
  return text;
}

// Every label in order, the empty one behind the trailing dot left out: "a..b." has three.
std::vector<std::string_view> labels_before_dots(std::string_view text) {
  auto labels = split_labels(text);
  if (!labels.empty()) labels.pop_back();
  return labels;
}

bool is_label(std::string_view label) {
  return !label.empty() && std::all_of(label.begin(), label.end(), is_name_character);
}

Result<std::string> read_field(std::string_view field, std::string_view text, bool with_wildcards) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorKind::kInvalid, std::string(field) + " " + quote_for_display(text) + ": " + std::string(why));
  };
  if (text.empty()) return refuse("it is empty");
  if (text.size() > kMaxLength) return refuse("it has more than 255 characters");
  std::string folded = fold_ascii_case(text);
  const auto is_accepted = [with_wildcards](char c) {
    return is_name_character(c) || c == '.' || (with_wildcards && c == '*');
  };
  if (!std::all_of(folded.begin(), folded.end(), is_accepted)) {
    return refuse(with_wildcards ? "only ASCII letters, digits, '-', '_', '.' and '*' are accepted"
                                 : "only ASCII letters, digits, '-', '_' and '.' are accepted");
  }
  return folded;
}

}  // namespace

Result<CiliumPattern> CiliumPattern::match_name(std::string_view text) {
  auto folded = read_field("matchName", text, false);
  if (!folded) return tl::unexpected(folded.error());
  return CiliumPattern(with_trailing_dot(std::move(*folded)));
}

Result<CiliumPattern> CiliumPattern::match_pattern(std::string_view text) {
  auto folded = read_field("matchPattern", text, true);
  if (!folded) return tl::unexpected(folded.error());
  return CiliumPattern(is_stars_alone(*folded) ? *folded : with_trailing_dot(std::move(*folded)));
}

Result<CiliumPattern> CiliumPattern::selector(std::string_view name, std::string_view pattern) {
  if (name.empty() == pattern.empty()) {
    return fail(ErrorKind::kInvalid, "a toFQDNs selector has exactly one of matchName and matchPattern");
  }
  return name.empty() ? match_pattern(pattern) : match_name(name);
}

bool CiliumPattern::matches(std::string_view name) const {
  const std::string full = with_trailing_dot(fold_ascii_case(name));
  if (full.empty()) return false;
  auto found = labels_before_dots(full);
  if (is_stars_alone(text_)) return full == "." || std::all_of(found.begin(), found.end(), is_label);

  // A wildcard stands for name characters only, and a valid pattern has no others: a foreign byte matches nothing.
  const auto is_known = [](char c) { return c == '.' || is_name_character(c); };
  if (!std::all_of(full.begin(), full.end(), is_known)) return false;

  std::string_view pattern = text_;
  const std::size_t stars = std::min(pattern.find_first_not_of('*'), pattern.size());
  const bool is_any_depth = stars >= 2 && pattern[stars] == '.';
  if (is_any_depth) pattern.remove_prefix(stars + 1);
  const auto wanted = labels_before_dots(pattern);
  if (is_any_depth) {
    if (found.size() <= wanted.size()) return false;
    const auto rest = found.end() - static_cast<std::ptrdiff_t>(wanted.size());
    if (!std::all_of(found.begin(), rest, is_label)) return false;
    found.erase(found.begin(), rest);
  }
  return std::equal(wanted.begin(), wanted.end(), found.begin(), found.end(), label_glob_matches);
}

}  // namespace namewall
