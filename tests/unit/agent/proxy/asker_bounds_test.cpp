#include "agent/proxy/asker_bounds.h"

#include <gtest/gtest.h>

#include "agent/proxy/keyed_hash.h"
#include "tests/unit/agent/policy_image_builder.h"

namespace namewall::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

BootTime after(Nanoseconds since) { return {seconds(1000) + since}; }

// So many are let through one after the other.
unsigned pass(AskerBounds& bounds, const DnsBounds& of, unsigned tries, BootTime now, Share share = Share::kWhole) {
  unsigned passed = 0;
  for (; tries > 0; --tries) {
    if (bounds.find_bound(of, std::nullopt, share, now) != NW_REASON_NONE) continue;
    bounds.take(of, std::nullopt, now);
    ++passed;
  }
  return passed;
}

TEST(AskerBounds, LetASecondsWorthThroughAtOnceAndThenTheRate) {
  AskerBounds bounds;
  const DnsBounds of{.in_flight = 10000, .per_second = 50};
  EXPECT_EQ(pass(bounds, of, 200, after(seconds(0))), 50u);
  EXPECT_EQ(bounds.find_bound(of, std::nullopt, Share::kWhole, after(seconds(0))), NW_REASON_QUERY_RATE);
  EXPECT_EQ(pass(bounds, of, 200, after(milliseconds(100))), 5u);
  EXPECT_EQ(pass(bounds, of, 200, after(seconds(60))), 50u);
}

TEST(AskerBounds, CountQuestionsUntilTheyAreAnswered) {
  AskerBounds bounds;
  const DnsBounds of{.in_flight = 3};
  EXPECT_EQ(pass(bounds, of, 10, after(seconds(0))), 3u);
  EXPECT_EQ(bounds.find_bound(of, std::nullopt, Share::kWhole, after(seconds(0))), NW_REASON_QUERIES_IN_FLIGHT);
  bounds.end_unanswered();
  EXPECT_EQ(pass(bounds, of, 10, after(seconds(0))), 1u);
}

TEST(AskerBounds, LeaveAParentHalfOfWhatIsItsOwn) {
  AskerBounds parent;
  const DnsBounds of{.in_flight = 10, .per_second = 100};
  EXPECT_EQ(pass(parent, of, 50, after(seconds(0)), Share::kHalf), 5u);
  EXPECT_EQ(pass(parent, of, 50, after(seconds(0))), 5u);

  AskerBounds rate;
  const DnsBounds of_rate{.in_flight = 1000, .per_second = 100};
  EXPECT_EQ(pass(rate, of_rate, 500, after(seconds(0)), Share::kHalf), 50u);
  EXPECT_EQ(pass(rate, of_rate, 500, after(seconds(0))), 50u);
}

TEST(AskerBounds, CountOnlyNamesThatAreNew) {
  const KeyedHash hash(1);
  AskerBounds bounds;
  const DnsBounds of{.in_flight = 100000, .per_second = 100000, .fresh_per_second = 3};
  const auto ask = [&](std::uint64_t name) {
    const Reason reason = bounds.find_bound(of, hash(name), Share::kWhole, after(seconds(0)));
    if (reason == NW_REASON_NONE) bounds.take(of, hash(name), after(seconds(0)));
    return reason;
  };
  for (std::uint64_t name = 1; name <= 3; ++name) EXPECT_EQ(ask(name), NW_REASON_NONE);
  EXPECT_EQ(ask(4), NW_REASON_FRESH_NAMES);
  EXPECT_EQ(ask(4), NW_REASON_FRESH_NAMES);  // a refusal makes nothing known
  for (std::uint64_t name = 1; name <= 3; ++name) EXPECT_EQ(ask(name), NW_REASON_NONE);
}

TEST(AskerBounds, AreAtRestWhenNothingIsHeldBackAnyMore) {
  AskerBounds bounds;
  const DnsBounds of{};
  EXPECT_TRUE(bounds.is_at_rest(after(seconds(0))));
  pass(bounds, of, 1, after(seconds(0)));
  EXPECT_FALSE(bounds.is_at_rest(after(seconds(2))));
  bounds.end_unanswered();
  EXPECT_FALSE(bounds.is_at_rest(after(seconds(0))));
  EXPECT_TRUE(bounds.is_at_rest(after(seconds(2))));
}

TEST(KnownNames, KnowNoNameThatWasNotAskedAndForgetOnlyOldOnes) {
  const KeyedHash hash(5);
  KnownNames names;
  for (std::uint64_t name = 0; name < 2000; ++name) {
    ASSERT_FALSE(names.has(hash(name)));
    names.add(hash(name));
    ASSERT_TRUE(names.has(hash(name)));
  }
  unsigned known = 0;
  for (std::uint64_t name = 0; name < 2000; ++name) known += names.has(hash(name));
  EXPECT_GE(known, 1950u);
}

TEST(KnownNames, KeepWhatIsAskedAgainAmongAnyNumberOfOthersInFlatMemory) {
  const KeyedHash hash(5);
  KnownNames names;
  names.add(hash(std::uint64_t{0}));
  for (std::uint64_t name = 1; name < 1000000; ++name) {
    names.add(hash(name));
    if (name % 16 == 0) names.add(hash(std::uint64_t{0}));
  }
  EXPECT_TRUE(names.has(hash(std::uint64_t{0})));
  EXPECT_LE(names.bytes(), KnownNames::kCapacity * 8);
}

TEST(ListedName, IsOneThatTheRulesSpellOut) {
  const PolicyImage image = image_of({"a.example", "*.wild.example", "x*.y.example"});
  EXPECT_TRUE(is_listed_name(image, "a.example"));
  EXPECT_FALSE(is_listed_name(image, "wild.example"));
  EXPECT_FALSE(is_listed_name(image, "one.wild.example"));
  EXPECT_FALSE(is_listed_name(image, "xx.y.example"));
}

}  // namespace
}  // namespace namewall::agent
