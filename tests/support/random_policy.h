// Random policies over a small world of names, ports and addresses, in which rules and questions meet often.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "policy/policy.h"
#include "policy/resolv_conf.h"

namespace namewall::testing {

// `text` as it would stand in `allow` or `deny`; ends the test program where it does not parse.
Rule rule_of(const std::string& text, EndpointUse use, std::uint32_t line = 1);

struct RandomPolicy {
  Policy policy;
  HostPolicy host;
  ResolvConf system;
};

class PolicyGenerator {
 public:
  explicit PolicyGenerator(std::uint32_t seed) : random_(seed) {}

  // At most 5 name patterns with inner wildcards and 2 search domains: every policy compiles. Of the host there are
  // denies, private names, blocks and limits.
  RandomPolicy policy();
  DomainName name();        // 1 to 6 labels
  std::string name_text();  // the same, with upper case in it
  Address address();        // of both families, special-use ones among them
  Port port();
  Protocol protocol();

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  bool chance(std::uint32_t percent) { return below(100) < percent; }
  std::mt19937& random() { return random_; }

 private:
  std::string label();
  std::string literal(std::uint32_t labels);
  std::string pattern();
  std::string prefix();
  std::string ports();
  std::string endpoint();
  void limit(RandomPolicy& made);

  std::mt19937 random_;
  std::uint32_t globs_left_ = 0;
};

}  // namespace namewall::testing
