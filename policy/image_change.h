// What a workload may do more, and less, when one image takes the place of another: a value that can be printed and
// compared. Applying it is loading the newer image whole; this is what people see of it, in a reload and in `check`.
#pragma once

#include <string>
#include <vector>

#include "policy/policy_image.h"

namespace namewall {

struct AccessChange {
  enum class Kind { kOpens, kCloses };
  Kind kind = Kind::kOpens;
  std::string subject;  // "www.example.com", "*.example.com" (one label), "**.example.com" (deeper), "every name of one
                        // label", a pattern with inner wildcards, an address or prefix, "listen", "loopback own",
                        // "learn proxy", "per_second 2000"
  std::string what;     // ports ("tcp/443"), "ask" of a search-list form, "private tcp/443", "undenied tcp/443" where a
                        // deny that also cuts what other rules open comes or goes; "" of what has no ports
  friend bool operator==(const AccessChange&, const AccessChange&) = default;
};

// By subject, in the order: names, inner-wildcard patterns, addresses, `listen`, `loopback`, mode, resolvers, how
// lookups are learned, their bounds; closing before opening. Empty where the two images decide everything alike. Names
// and prefixes are compared at the places that either image has a node for, by what the image decides there: a broad
// rule taken away shows as its own place and as every narrower place that it had opened. Inner-wildcard patterns are
// compared as rules, for themselves.
std::vector<AccessChange> changes_between(const PolicyImage& older, const PolicyImage& newer);

// "opens www.example.com tcp/443"
std::string to_string(const AccessChange& change);

}  // namespace namewall
