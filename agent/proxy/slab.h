// Entries by number: numbers are used again, entries do not move and keep what memory they own for their next use.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace namewall::agent {

template <typename Entry>
class Slab {
 public:
  // As it was given back; the caller sets every field.
  std::uint32_t take() {
    if (free_.empty()) {
      const auto first = static_cast<std::uint32_t>(chunks_.size() * kChunk);
      chunks_.push_back(std::make_unique<std::array<Entry, kChunk>>());
      for (std::uint32_t i = kChunk; i-- > 0;) free_.push_back(first + i);
    }
    const std::uint32_t number = free_.back();
    free_.pop_back();
    return number;
  }
  void give_back(std::uint32_t number) { free_.push_back(number); }

  Entry& operator[](std::uint32_t number) { return (*chunks_[number / kChunk])[number % kChunk]; }
  const Entry& operator[](std::uint32_t number) const { return (*chunks_[number / kChunk])[number % kChunk]; }
  // Numbers ever taken are below this.
  std::uint32_t end() const { return static_cast<std::uint32_t>(chunks_.size() * kChunk); }
  std::size_t in_use() const { return chunks_.size() * kChunk - free_.size(); }

 private:
  static constexpr std::uint32_t kChunk = 32;
  std::vector<std::unique_ptr<std::array<Entry, kChunk>>> chunks_;
  std::vector<std::uint32_t> free_;
};

}  // namespace namewall::agent
