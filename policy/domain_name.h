// A domain name in the one form that everything compares: lower-case ASCII, labels joined by '.', no trailing dot.
// Only letters, digits, '-' and '_' (the characters that the kernel's question check accepts), labels of 1 to 63
// characters, at most 251 characters in all (the kernel's trie key; RFC 1035 allows 253).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.h"

namespace namewall {

inline constexpr std::size_t kMaxNameLength = 251;
inline constexpr std::size_t kMaxLabelLength = 63;

// Of the normal form, dots apart.
constexpr bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}
std::string fold_ascii_case(std::string_view text);
// What stands between the dots; "" has no labels.
std::vector<std::string_view> split_labels(std::string_view text);

class DomainName {
 public:
  // Text form: case is folded, one trailing dot dropped, non-ASCII converted by IDNA 2008 (UTS 46 non-transitional).
  static Result<DomainName> parse(std::string_view text);
  // Trusted form, already normal: for names that came from parse or from the wire walker.
  static DomainName from_normal(std::string text) { return DomainName(std::move(text)); }

  const std::string& text() const { return text_; }
  std::vector<std::string_view> labels() const { return split_labels(text_); }
  std::size_t label_count() const;
  friend auto operator<=>(const DomainName&, const DomainName&) = default;

 private:
  explicit DomainName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace namewall
