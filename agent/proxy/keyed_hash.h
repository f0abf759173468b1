// A keyed hash of bytes, for tables that outsiders fill: who does not know the seed cannot aim at one slot.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace namewall::agent {

class KeyedHash {
 public:
  explicit KeyedHash(std::uint64_t seed) : seed_(fold(seed ^ kOdd[0], kOdd[1])) {}

  std::uint64_t operator()(std::uint64_t word) const { return fold(fold(word ^ kOdd[2], seed_), kOdd[0]); }
  std::uint64_t operator()(std::span<const std::uint8_t> bytes, std::uint64_t also = 0) const {
    std::uint64_t hash = fold(seed_ ^ also, kOdd[1] ^ bytes.size());
    while (bytes.size() > 8) {
      hash = fold(hash ^ read(bytes, 8), seed_ ^ kOdd[2]);
      bytes = bytes.subspan(8);
    }
    return fold(fold(hash ^ read(bytes, bytes.size()), seed_ ^ kOdd[0]), kOdd[1]);
  }
  std::uint64_t operator()(std::string_view text) const {
    return (*this)(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }

 private:
  static constexpr std::uint64_t kOdd[3] = {0x9e3779b97f4a7c15, 0xd1b54a32d192ed03, 0x8cb92ba72f3d8dd7};

  // Both halves of the product: every bit of a factor reaches every bit of the result.
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  static std::uint64_t read(std::span<const std::uint8_t> bytes, std::size_t count) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), count);
    return word;
  }

  std::uint64_t seed_;
};

}  // namespace namewall::agent
