// Answers from the core's cache: edited, judged and taught like those of a resolver.
#include <gtest/gtest.h>

#include "tests/unit/agent/proxy/proxy_fixture.h"

namespace namewall::agent {
namespace {

using std::chrono::seconds;

const Asker kAsker = testing::asker_of({{7, image_of({"a.example"})}});

// The TTL of the first record of an answer whose names are compressed.
std::uint32_t ttl_of(const FakeClients::Reply& reply) { return parse_answer(reply.message)->addresses.at(0).ttl; }

// NXDOMAIN or NODATA with an SOA in the authority section.
Bytes negative(const std::string& name, std::uint8_t rcode, std::uint32_t ttl, std::uint32_t minimum) {
  Bytes soa(2 + 20, 0);  // two root names, then five numbers
  for (unsigned i = 0; i < 4; ++i) soa[18 + i] = static_cast<std::uint8_t>(minimum >> (24 - 8 * i));
  Bytes message = AnswerBuilder(name)
                      .rcode(rcode)
                      .record({.owner = "example", .type = 6, .ttl = ttl, .data = soa, .target = ""})
                      .build();
  std::swap(message[7], message[9]);  // ANCOUNT, NSCOUNT
  return message;
}

class ProxyCacheTest : public ProxyCoreTest {};

TEST_F(ProxyCacheTest, AnswersAgainWithTheAgeTakenOffAndTheGrantsRenewed) {
  ask(kAsker, "a.example");
  answer("a.example", "192.0.2.1", 60);
  pass(seconds(20));
  ask(kAsker, "a.example", {.id = 99});
  EXPECT_TRUE(upstream.asked.empty());
  EXPECT_EQ(core.figures().cache_hits, 1u);
  ASSERT_EQ(clients.replies.size(), 2u);
  EXPECT_EQ(last_reply().id(), 99u);
  EXPECT_EQ(ttl_of(last_reply()), 40u);
  ASSERT_EQ(sink.taught.size(), 2u);
  EXPECT_EQ(sink.taught[1].lesson.grants.at(0).deadline, now + seconds(40 + 90));
  pass(seconds(40));
  ask(kAsker, "a.example");
  EXPECT_EQ(upstream.asked.size(), 1u);
}

TEST_F(ProxyCacheTest, AHitIsWithheldLikeAnyAnswerThatTheKernelDoesNotTake) {
  ask(kAsker, "a.example");
  answer("a.example");
  sink.refuse = [](auto, auto&) { return NW_REASON_TEACHING_FAILED; };
  ask(kAsker, "a.example", {.size = std::nullopt});
  EXPECT_EQ(last_reply().rcode(), 2u);
}

TEST_F(ProxyCacheTest, AnotherWorkloadsHitTeachesThatWorkload) {
  ask(kAsker, "a.example");
  answer("a.example");
  ask(testing::asker_of({{9, image_of({"a.example:22"})}}), "a.example");
  EXPECT_TRUE(upstream.asked.empty());
  EXPECT_EQ(sink.taught.at(1).cgroup_id, 9u);
}

TEST_F(ProxyCacheTest, APolicyWithoutItNeitherReadsNorFills) {
  const Asker without = testing::asker_of({{9, image_where({"a.example"}, [](auto& image) { image.cache = false; })}});
  ask(without, "a.example");
  answer("a.example");
  ask(kAsker, "a.example");
  EXPECT_EQ(upstream.asked.size(), 1u) << "it did not fill";
  answer("a.example");
  ask(without, "a.example");
  EXPECT_EQ(upstream.asked.size(), 1u) << "it does not read";
  answer("a.example");
  ask(kAsker, "a.example");
  EXPECT_TRUE(upstream.asked.empty());
}

TEST_F(ProxyCacheTest, KeepsNegativeAnswersAsLongAsTheirSoaSays) {
  for (const std::uint8_t rcode : {std::uint8_t{3}, std::uint8_t{0}}) {
    ask(kAsker, "a.example");
    ASSERT_TRUE(upstream.answer("a.example", negative("a.example", rcode, 300, 30)));
    pass(seconds(29));
    ask(kAsker, "a.example");
    EXPECT_EQ(last_reply().rcode(), rcode);
    EXPECT_TRUE(upstream.asked.empty());
    pass(seconds(1));
    ask(kAsker, "a.example");
    ASSERT_TRUE(upstream.fail("a.example"));
  }
}

TEST_F(ProxyCacheTest, KeepsNoFailureNoTtlOfZeroAndNothingTruncated) {
  const auto is_kept = [&](const AnswerBuilder& message) {
    ask(kAsker, "a.example");
    EXPECT_TRUE(answer(message, "a.example"));
    ask(kAsker, "a.example");
    return !upstream.fail("a.example");
  };
  EXPECT_FALSE(is_kept(AnswerBuilder("a.example").rcode(2)));
  EXPECT_FALSE(is_kept(AnswerBuilder("a.example").a("a.example", 0, "192.0.2.1")));
  EXPECT_FALSE(is_kept(AnswerBuilder("a.example").a("a.example", 60, "192.0.2.1").truncated()));
  EXPECT_FALSE(is_kept(AnswerBuilder("a.example")));  // NODATA without an SOA
  EXPECT_TRUE(is_kept(AnswerBuilder("a.example").a("a.example", 60, "192.0.2.1")));
}

TEST_F(ProxyCacheTest, CutsEachClientsTtlToItsOwnMaximum) {
  const Asker strict =
      testing::asker_of({{9, image_where({"a.example"}, [](auto& image) { image.max_ttl = seconds(10); })}});
  ask(kAsker, "a.example");
  answer("a.example", "192.0.2.1", 60);
  ask(strict, "a.example");
  EXPECT_EQ(ttl_of(clients.replies[0]), 60u);
  EXPECT_EQ(ttl_of(clients.replies[1]), 10u);
}

}  // namespace
}  // namespace namewall::agent
