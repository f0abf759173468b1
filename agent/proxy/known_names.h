// Names that a workload asked lately, as keyed 64-bit hashes: at most kCapacity, memory only for as many as there were.
//
// Errors are on one side but for chance: a name asked long ago, or crowded out in its set of eight, counts as new
// again; one never asked counts as known only where two 64-bit hashes are equal.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace namewall::agent {

class KnownNames {
 public:
  static constexpr std::size_t kCapacity = 4096;

  bool has(std::uint64_t hash) const;
  // Known from now on, as the one asked last.
  void add(std::uint64_t hash);
  std::size_t bytes() const { return sets_.size() * sizeof(Set); }

 private:
  using Set = std::array<std::uint64_t, 8>;  // asked last first; 0: free

  static std::uint64_t stored(std::uint64_t hash) { return hash == 0 ? 1 : hash; }
  Set& set_of(std::uint64_t hash) { return sets_[(hash >> 32) & (sets_.size() - 1)]; }
  void grow();

  std::vector<Set> sets_;
};

}  // namespace namewall::agent
