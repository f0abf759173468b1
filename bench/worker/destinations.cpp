#include "bench/worker/destinations.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <unordered_set>

#include "bench/addresses.h"

namespace namewall::bench {
namespace {

constexpr std::uint32_t kHot = 16;
constexpr std::uint32_t kHotDistance = 6;
constexpr std::uint32_t kCold = 4096;

}  // namespace

Destinations::Destinations(const std::vector<std::uint32_t>& indexes, std::uint16_t port) {
  for (const std::uint32_t index : indexes) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    const auto bytes = granted_address(index);
    std::memcpy(&address.sin_addr, bytes.data(), bytes.size());
    addresses_.push_back(address);
  }
}

Destinations Destinations::hot(std::uint16_t port) {
  std::vector<std::uint32_t> indexes(kHot);
  for (std::uint32_t i = 0; i < kHot; ++i) indexes[i] = i * kHotDistance;
  return {indexes, port};
}

Destinations Destinations::cold(std::uint32_t grants, std::uint16_t port) {
  std::mt19937 random(20240229);  // NOLINT(bugprone-random-generator-seed): the same sequence everywhere
  std::vector<std::uint32_t> indexes;
  if (grants <= kCold) {
    indexes.resize(grants);
    std::iota(indexes.begin(), indexes.end(), 0U);
    std::shuffle(indexes.begin(), indexes.end(), random);
    return {indexes, port};
  }
  std::unordered_set<std::uint32_t> seen;
  while (indexes.size() < kCold) {
    const auto index = static_cast<std::uint32_t>(random() % grants);
    if (seen.insert(index).second) indexes.push_back(index);
  }
  return {indexes, port};
}

}  // namespace namewall::bench
