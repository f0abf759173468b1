// The domain names of Kubernetes network policies (NPEP-133, ClusterNetworkPolicy `domainNames`; AWS uses the same): a
// name, or "*." and a name, where the wildcard is one label or more.
#pragma once

#include <string>
#include <string_view>

#include "policy/result.h"

namespace namewall {

class Npep133Pattern {
 public:
  // What the API server's validation pattern accepts, its slip included: the first character of a label is in `A-z`,
  // which has '[', '\', ']', '^', '_' and '`' too. Two labels or more, behind the wildcard as well.
  static Result<Npep133Pattern> parse(std::string_view text);

  // Without case and trailing dot.
  bool matches(std::string_view name) const;

 private:
  Npep133Pattern(std::string name, bool has_wildcard) : name_(std::move(name)), has_wildcard_(has_wildcard) {}
  std::string name_;  // lower case, without wildcard and trailing dot
  bool has_wildcard_ = false;
};

}  // namespace namewall
