// From hashes to the places of entries that somebody else keeps: open addressing, at most half full, no allocation but
// when it grows. Equal hashes may stand for different entries; the caller compares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace namewall::agent {

class HashIndex {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  // The place for which is_it(place), or kNone.
  template <typename IsIt>
  std::uint32_t find(std::uint64_t hash, IsIt&& is_it) const {
    if (count_ == 0) return kNone;
    for (std::size_t at = home(hash);; at = next(at)) {
      const Slot& slot = slots_[at];
      if (slot.place == kNone) return kNone;
      if (slot.tag == tag_of(hash) && is_it(slot.place)) return slot.place;
    }
  }

  // Not there yet.
  void insert(std::uint64_t hash, std::uint32_t place) {
    if (2 * (count_ + 1) > slots_.size()) grow();
    put({tag_of(hash), place});
    ++count_;
  }

  // Is there.
  void erase(std::uint64_t hash, std::uint32_t place) {
    std::size_t hole = home(hash);
    while (slots_[hole].place != place) hole = next(hole);
    // What follows moves up, so that no search ends early.
    for (std::size_t at = next(hole); slots_[at].place != kNone; at = next(at)) {
      const std::size_t distance = (at - slots_[at].tag) & (slots_.size() - 1);
      if (distance < ((at - hole) & (slots_.size() - 1))) continue;
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole] = {};
    --count_;
  }

  std::size_t size() const { return count_; }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t place = kNone;
  };

  static std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash); }
  std::size_t home(std::uint64_t hash) const { return tag_of(hash) & (slots_.size() - 1); }
  std::size_t next(std::size_t at) const { return (at + 1) & (slots_.size() - 1); }
  void put(Slot slot) {
    std::size_t at = home(slot.tag);
    while (slots_[at].place != kNone) at = next(at);
    slots_[at] = slot;
  }
  void grow() {
    std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.empty() ? 16 : slots_.size() * 2));
    for (const Slot& slot : old) {
      if (slot.place != kNone) put(slot);
    }
  }

  std::vector<Slot> slots_;
  std::size_t count_ = 0;
};

}  // namespace namewall::agent
