#include "agent/proxy/hash_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "agent/proxy/keyed_hash.h"

namespace namewall::agent {
namespace {

TEST(HashIndex, FindsWhatIsInItThroughAnyOrderOfInsertsAndErasures) {
  std::mt19937 random(1);
  HashIndex index;
  std::map<std::uint32_t, std::uint64_t> model;  // place -> hash
  for (int step = 0; step < 20000; ++step) {
    const auto place = static_cast<std::uint32_t>(random() % 300);
    const auto found = model.find(place);
    if (found != model.end()) {
      index.erase(found->second, place);
      model.erase(found);
    } else {
      const std::uint64_t hash = random() % 64;  // many equal ones, whole runs of neighbours
      index.insert(hash, place);
      model.emplace(place, hash);
    }
    ASSERT_EQ(index.size(), model.size());
  }
  for (const auto& [place, hash] : model) {
    EXPECT_EQ(index.find(hash, [wanted = place](std::uint32_t at) { return at == wanted; }), place);
  }
  EXPECT_EQ(index.find(7, [](std::uint32_t) { return false; }), HashIndex::kNone);
}

TEST(KeyedHash, DependsOnEveryByteTheLengthAndTheSeed) {
  const KeyedHash hash(1);
  std::set<std::uint64_t> seen;
  std::vector<std::uint8_t> bytes(40, 0);
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    EXPECT_TRUE(seen.insert(hash(std::span(bytes).first(length))).second) << length;
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      bytes[at] = static_cast<std::uint8_t>(1u << bit);
      EXPECT_TRUE(seen.insert(hash(bytes)).second) << at << " " << bit;
    }
    bytes[at] = 0;
  }
  EXPECT_NE(KeyedHash(2)(bytes), hash(bytes));
  EXPECT_NE(hash(bytes, 1), hash(bytes, 2));
}

}  // namespace
}  // namespace namewall::agent
