// Finds the rules of a list that have to do with a host, without comparing each with each.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/policy.h"

namespace namewall {

class RuleIndex {
 public:
  // Called for each rule found; false ends the search.
  using Visit = std::function<bool(const Rule&)>;

  // The rules stay where they are while the index lives.
  explicit RuleIndex(const std::vector<const Rule*>& rules);

  // Rules whose host covers `host`, equal ones included.
  void each_covering(const Host& host, const Visit& visit) const;
  // Rules whose host lies within `host` and is not equal to it.
  void each_within(const Host& host, const Visit& visit) const;
  // Whether a rule meets `host` on some of `ports`; in doubt it does.
  bool has_meeting(const Host& host, const PortSet& ports) const;

  // Comparisons left: a list made to be expensive is not compared to its end.
  bool is_exhausted() const { return budget_ == 0; }

 private:
  bool spend() const { return budget_ != 0 && --budget_ != 0; }
  void each_with_suffix_of(const NamePattern& pattern, const Visit& visit) const;
  void each_below(const NamePattern& pattern, const Visit& visit) const;
  void each_prefix_within(const Prefix& prefix, const Visit& visit) const;

  std::vector<const Rule*> all_, any_;
  std::unordered_map<std::string_view, std::vector<const Rule*>> by_suffix_;  // literal suffixes of patterns
  std::vector<std::pair<std::string, const Rule*>> by_reversed_;  // the same, labels reversed: "com.example."
  std::map<Prefix, std::vector<const Rule*>> by_prefix_;
  mutable std::size_t budget_ = 2'000'000;
};

}  // namespace namewall
