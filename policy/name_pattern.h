// Name patterns of the native policy language: '*' stands for characters within one label (at least one where it is a
// whole label, any number beside other characters); a leading "**." for one label or more.
#pragma once

#include <string>
#include <string_view>

#include "policy/domain_name.h"
#include "policy/result.h"

namespace namewall {

class NamePattern {
 public:
  // Errors name the part that is wrong and what is accepted. A lone "*" and "**" are errors here (host '*' is the
  // endpoint's own form). IDNA labels without wildcards are stored as ASCII.
  static Result<NamePattern> parse(std::string_view text);

  bool matches(const DomainName& name) const;
  bool is_exact() const;      // no wildcard at all
  bool is_any_depth() const;  // begins with "**."
  // The labels behind the last wildcard label, joined ("amazonaws.com" of "*.s3.*.amazonaws.com"; "" when none; all of
  // an exact name).
  std::string_view literal_suffix() const;
  // True for "*.suffix" and "**.suffix": decided by depth alone. Otherwise a wildcard pattern is a glob.
  bool is_plain_wildcard() const;
  // True for "*example.com": accepted, but `check` warns that '*' does not cross a dot. Not for "*-cdn.example.com" or
  // "*s3*.example.com", where the characters beside the wildcard are meant.
  bool has_suspicious_prefix() const;
  // The pattern with `.suffix` appended (search-list forms). May be longer than any name: then nothing matches it.
  NamePattern with_suffix(const DomainName& suffix) const;

  const std::string& text() const { return text_; }
  friend auto operator<=>(const NamePattern&, const NamePattern&) = default;

 private:
  explicit NamePattern(std::string text) : text_(std::move(text)) {}
  std::string text_;  // normal form: lower case, no trailing dot
};

}  // namespace namewall
