// What one workload may ask of the proxy (DnsBounds), counted.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/proxy/known_names.h"
#include "agent/proxy/token_bucket.h"
#include "policy/policy.h"
#include "policy/policy_image.h"
#include "policy/reason.h"

namespace namewall::agent {

// Whether a rule or a search-list form of the policy is this very name: such names are as many as the policy lists, the
// others are as many as a wildcard covers.
bool is_listed_name(const PolicyImage& image, std::string_view name);

class AskerBounds {
 public:
  // NW_REASON_NONE, or the bound at which one more question would be. `wildcard_name`: the hash of its name, where that
  // is not listed. Counts nothing.
  Reason find_bound(const DnsBounds& bounds, std::optional<std::uint64_t> wildcard_name, Share share,
                    BootTime now) const;
  // Counts the question, until it is answered.
  void take(const DnsBounds& bounds, std::optional<std::uint64_t> wildcard_name, BootTime now);
  void add_unanswered() { ++unanswered_; }  // one that counted already, elsewhere
  void end_unanswered() { --unanswered_; }

  std::uint32_t unanswered() const { return unanswered_; }
  // Forgetting it forgets no bound that holds.
  bool is_at_rest(BootTime now) const { return unanswered_ == 0 && rate_.is_full(now) && fresh_.is_full(now); }

 private:
  std::uint32_t unanswered_ = 0;
  TokenBucket rate_, fresh_;
  KnownNames known_;
};

}  // namespace namewall::agent
