#include "policy/name_pattern.h"

#include <algorithm>

#include "policy/escape.h"
#include "policy/label_glob.h"

namespace namewall {
namespace {

constexpr std::string_view kAnyDepth = "**";
constexpr std::string_view kOneLabel = "*";

bool has_wildcard(std::string_view text) { return text.find('*') != std::string_view::npos; }

// Of a label with a wildcard, case folded; nullptr when it is well formed.
const char* mistake_in_wildcard_label(std::string_view label, bool is_first) {
  if (label == kAnyDepth) {
    return is_first ? nullptr : "`**` stands only at the beginning, as in `**.example.com`";
  }
  if (label.find("**") != std::string_view::npos) {
    return "`**` stands only as a whole label at the beginning, as in `**.example.com`; inside a label write `*`";
  }
  const auto is_accepted = [](char c) { return c == '*' || is_name_character(c); };
  if (!std::all_of(label.begin(), label.end(), is_accepted)) {
    return "a label with `*` has only ASCII letters, digits, '-' and '_' beside it";
  }
  const auto stars = static_cast<std::size_t>(std::count(label.begin(), label.end(), '*'));
  if (label.size() - stars > kMaxLabelLength) return "a label has more than 63 characters";
  return nullptr;
}

}  // namespace

Result<NamePattern> NamePattern::parse(std::string_view text) {
  if (!has_wildcard(text)) {
    auto name = DomainName::parse(text);
    if (!name) return tl::unexpected(name.error());
    return NamePattern(name->text());
  }
  const auto refuse = [text](std::string_view why) {
    return fail(ErrorKind::kInvalid, quote_for_display(text) + ": " + std::string(why));
  };

  std::string folded = fold_ascii_case(text);
  if (folded.back() == '.') folded.pop_back();
  if (folded == kOneLabel || folded == kAnyDepth) {
    return refuse("a lone wildcard is not a name pattern; write the names, as in `*.example.com` or `**.example.com`");
  }
  std::string normal;
  for (const std::string_view label : split_labels(folded)) {
    if (label.empty()) return refuse("two dots in a row, or a dot at the beginning, leave a label empty");
    std::string part(label);
    if (has_wildcard(label)) {
      const bool is_first = normal.empty();
      if (const char* mistake = mistake_in_wildcard_label(label, is_first)) return refuse(mistake);
    } else {
      const auto literal = DomainName::parse(label);
      if (!literal) return refuse(literal.error().what);
      part = literal->text();
    }
    normal += (normal.empty() ? "" : ".") + part;
  }
  if (normal.size() > kMaxNameLength) {
    return refuse("a name pattern has at most " + std::to_string(kMaxNameLength) + " characters");
  }
  return NamePattern(std::move(normal));
}

bool NamePattern::matches(const DomainName& name) const {
  auto wanted = split_labels(text_);
  auto found = name.labels();
  if (is_any_depth()) {
    wanted.erase(wanted.begin());
    if (found.size() <= wanted.size()) return false;
    found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(wanted.size()));
  }
  return std::equal(wanted.begin(), wanted.end(), found.begin(), found.end(), label_glob_matches);
}

bool NamePattern::is_exact() const { return !has_wildcard(text_); }

bool NamePattern::is_any_depth() const { return text_.starts_with("**."); }

std::string_view NamePattern::literal_suffix() const {
  const std::size_t star = text_.rfind('*');
  if (star == std::string::npos) return text_;
  const std::size_t dot = text_.find('.', star);
  return dot == std::string::npos ? std::string_view() : std::string_view(text_).substr(dot + 1);
}

bool NamePattern::is_plain_wildcard() const {
  const std::string_view suffix = literal_suffix();
  if (is_exact() || suffix.empty()) return false;
  const std::string_view wildcard = std::string_view(text_).substr(0, text_.size() - suffix.size() - 1);
  return wildcard == kOneLabel || wildcard == kAnyDepth;
}

bool NamePattern::has_suspicious_prefix() const {
  const std::string_view first = std::string_view(text_).substr(0, text_.find('.'));
  if (first.size() < 2 || first.front() != '*' || has_wildcard(first.substr(1))) return false;
  return first[1] != '-' && first[1] != '_';
}

NamePattern NamePattern::with_suffix(const DomainName& suffix) const {
  return suffix.text().empty() ? *this : NamePattern(text_ + "." + suffix.text());
}

}  // namespace namewall
