#include "agent/proxy/answer_cache.h"

#include <gtest/gtest.h>

#include <string>

#include "agent/proxy/keyed_hash.h"

namespace namewall::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

BootTime at(Nanoseconds since) { return {seconds(1000) + since}; }

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

class AnswerCacheTest : public ::testing::Test {
 protected:
  void put(const std::string& question, const std::string& answer, std::uint32_t lifetime, BootTime now,
           std::uint64_t target = 1) {
    cache.put(hash(bytes_of(question), target), target, bytes_of(question), bytes_of(answer), lifetime, now);
  }
  // "ANSWER AGE", "" where there is none.
  std::string find(const std::string& question, BootTime now, std::uint64_t target = 1) {
    const auto hit = cache.find(hash(bytes_of(question), target), target, bytes_of(question), now);
    if (!hit) return "";
    return std::string(hit->answer.begin(), hit->answer.end()) + " " + std::to_string(hit->age);
  }

  KeyedHash hash{1};
  AnswerCache cache{64 << 10};
};

TEST_F(AnswerCacheTest, AnswersForAsLongAsItsSecondsSay) {
  put("q", "a", 10, at(seconds(0)));
  EXPECT_EQ(find("q", at(milliseconds(900))), "a 0");
  EXPECT_EQ(find("q", at(milliseconds(9999))), "a 9");
  EXPECT_EQ(find("q", at(seconds(10))), "");
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST_F(AnswerCacheTest, KeepsNothingForNoSeconds) {
  put("q", "a", 0, at(seconds(0)));
  EXPECT_EQ(find("q", at(seconds(0))), "");
}

TEST_F(AnswerCacheTest, TellsTargetsAndQuestionsApart) {
  put("q", "one", 10, at(seconds(0)), 1);
  put("q", "two", 10, at(seconds(0)), 2);
  EXPECT_EQ(find("q", at(seconds(0)), 1), "one 0");
  EXPECT_EQ(find("q", at(seconds(0)), 2), "two 0");
  EXPECT_EQ(find("p", at(seconds(0)), 1), "");
}

TEST_F(AnswerCacheTest, HasTheNewestAnswerAlone) {
  put("q", "old", 100, at(seconds(0)));
  put("q", "new", 10, at(seconds(5)));
  EXPECT_EQ(find("q", at(seconds(6))), "new 1");
  put("q", "gone", 0, at(seconds(7)));
  EXPECT_EQ(find("q", at(seconds(7))), "");
}

TEST_F(AnswerCacheTest, DropsWhatWasUsedLongestAgoWhereTheBytesEnd) {
  const std::string answer(500, 'a');
  put("used", answer, 100, at(seconds(0)));
  put("idle", answer, 100, at(seconds(0)));
  for (int i = 0; i < 1000; ++i) {
    put("filler" + std::to_string(i), answer, 100, at(seconds(0)));
    EXPECT_NE(find("used", at(seconds(0))), "");
    EXPECT_LE(cache.bytes(), 64u << 10);
  }
  EXPECT_EQ(find("idle", at(seconds(0))), "");
}

TEST_F(AnswerCacheTest, KeepsNoAnswerThatWouldTakeMuchOfIt) {
  put("q", "a", 10, at(seconds(0)));
  put("big", std::string(5000, 'a'), 10, at(seconds(0)));
  EXPECT_EQ(find("big", at(seconds(0))), "");
  EXPECT_EQ(find("q", at(seconds(0))), "a 0");
}

TEST_F(AnswerCacheTest, SweepsOutWhatNobodyAskedForInTime) {
  for (int i = 0; i < 100; ++i) put(std::to_string(i), "a", i < 50 ? 10 : 100, at(seconds(0)));
  const std::size_t full = cache.bytes();
  cache.sweep(at(seconds(20)));
  EXPECT_EQ(find("99", at(seconds(20))), "a 20");
  EXPECT_LT(cache.bytes(), full * 6 / 10);
}

}  // namespace
}  // namespace namewall::agent
