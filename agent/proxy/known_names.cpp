#include "agent/proxy/known_names.h"

#include <algorithm>
#include <utility>

namespace namewall::agent {

bool KnownNames::has(std::uint64_t hash) const {
  if (sets_.empty()) return false;
  const Set& set = sets_[(hash >> 32) & (sets_.size() - 1)];
  return std::find(set.begin(), set.end(), stored(hash)) != set.end();
}

void KnownNames::add(std::uint64_t hash) {
  if (sets_.empty()) sets_.resize(1);
  Set* set = &set_of(hash);
  auto at = std::find(set->begin(), set->end(), stored(hash));
  while (at == set->end() && set->back() != 0 && sets_.size() * std::tuple_size_v<Set> < kCapacity) {
    grow();
    set = &set_of(hash);
    at = set->end();
  }
  if (at == set->end()) --at;  // the one asked longest ago gives way
  std::move_backward(set->begin(), at, at + 1);
  set->front() = stored(hash);
}

void KnownNames::grow() {
  const std::vector<Set> old = std::exchange(sets_, std::vector<Set>(sets_.size() * 2));
  for (const Set& set : old) {
    for (const std::uint64_t hash : set) {
      if (hash == 0) continue;
      Set& to = set_of(hash);
      *std::find(to.begin(), to.end(), 0u) = hash;  // a set's entries go to two: there is room, and order stays
    }
  }
}

}  // namespace namewall::agent
