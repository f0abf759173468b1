// Random policies, questions, answers and destinations of a small world, so that they meet each other often.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "policy/policy.h"
#include "policy/verdict.h"
#include "tests/kernel/support/dns_bytes.h"

namespace namewall::kernel_tests {

class DifferentialCases {
 public:
  explicit DifferentialCases(std::uint64_t seed) : random_(seed) {}

  Policy policy();
  HostPolicy host();  // in most cases empty; else denies, blocks and limits
  std::string name();
  // Mostly well-formed; else with bytes changed, cut, added, or one of the shapes that the grammar forbids.
  Bytes question();
  // To `question`, with its id and question section: honest, mutated behind the question, or hostile by construction.
  Bytes answer(const Bytes& question);
  Destination destination();

  bool one_in(unsigned n) { return below(n) == 0; }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }

 private:
  template <typename T>
  const T& pick(const std::vector<T>& values) {
    return values[below(static_cast<std::uint32_t>(values.size()))];
  }
  std::string pattern();
  std::string endpoint();
  std::uint32_t ttl();
  Address address();
  Bytes honest_answer(const Bytes& question);
  Bytes hostile_answer(const Bytes& question);
  void mutate(Bytes& message, std::size_t from);

  std::mt19937_64 random_;
};

}  // namespace namewall::kernel_tests
