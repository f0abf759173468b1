// Asking a resolver, in its own network namespace.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "policy/resolv_conf.h"
#include "policy/result.h"

namespace namewall::agent {

// Where a resolver lives, and who may stand in for it when it does not answer (tried in order).
struct UpstreamTarget {
  std::uint64_t netns_cookie = 0;  // 0: the agent's own
  ResolverAddress resolver;
  std::vector<ResolverAddress> stand_ins;
  friend auto operator<=>(const UpstreamTarget&, const UpstreamTarget&) = default;
};

class Upstream {
 public:
  virtual ~Upstream() = default;
  // The whole answer, whatever its RCODE, after TCP where UDP's was truncated; its id is that of `query`. kSystem: no
  // answer from anybody in time; kLimit: too many wait. The bytes are good during the call only.
  using Done = std::function<void(Result<std::span<const std::uint8_t>>)>;
  // `query`: a whole question as parse_question takes it, with at most an OPT without options; its id is replaced on
  // the wire by a random one. `done` is called exactly once, never from ask() itself, unless this is destroyed before.
  virtual void ask(const UpstreamTarget& target, std::vector<std::uint8_t> query, Done done) = 0;
};

}  // namespace namewall::agent
