// The names of Cilium's toFQDNs selectors, exactly as its agent reads them (rule of v1.19.4 and v1.20.0-pre.4,
// pkg/fqdn/matchpattern and pkg/policy/api/fqdn.go), including what our own language refuses: a '*' that is a whole
// label may be empty, a leading run of two or more '*' before a dot is one label or more, stars alone are every name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/result.h"

namespace namewall {

class CiliumPattern {
 public:
  static Result<CiliumPattern> match_name(std::string_view text);     // a literal name
  static Result<CiliumPattern> match_pattern(std::string_view text);  // with wildcards
  // A selector has exactly one of the two fields; an empty field counts as absent.
  static Result<CiliumPattern> selector(std::string_view match_name, std::string_view match_pattern);

  // `name` as it stands in Cilium's cache, with or without its trailing dot; "." is the root; empty labels are compared
  // like any other.
  bool matches(std::string_view name) const;

 private:
  explicit CiliumPattern(std::string text) : text_(std::move(text)) {}
  std::string text_;  // lower case; trailing dot, unless it is stars alone
};

}  // namespace namewall
