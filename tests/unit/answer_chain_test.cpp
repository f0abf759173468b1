#include "policy/answer_chain.h"

#include <gtest/gtest.h>

#include "tests/support/dns_builder.h"

namespace namewall {
namespace {

using namewall::testing::address_of;

ChainRecord a(const std::string& owner, std::uint32_t ttl, std::string_view address) {
  return {owner, kTypeA, ttl, {}, address_of(address)};
}

ChainRecord cname(const std::string& owner, std::uint32_t ttl, const std::string& target) {
  return {owner, kTypeCname, ttl, target, {}};
}

std::string follow(const std::string& question, const std::vector<ChainRecord>& records) {
  std::string found;
  for (const AddressRecord& record : follow_chain(question, records)) {
    found += record.address.to_string() + "/" + std::to_string(record.ttl) + " ";
  }
  return found;
}

TEST(AnswerChain, KeepsTheOrderOfTheMessage) {
  EXPECT_EQ(follow("q", {a("q", 5, "192.0.2.2"), a("q", 6, "192.0.2.1")}), "192.0.2.2/5 192.0.2.1/6 ");
}

TEST(AnswerChain, FollowsAliasesInAnyOrder) {
  std::vector<ChainRecord> records = {a("c", 30, "192.0.2.1"), cname("b", 20, "c"), cname("q", 10, "b")};
  std::mt19937 random(1);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(follow("q", records), "192.0.2.1/10 ");
    std::shuffle(records.begin(), records.end(), random);
  }
}

TEST(AnswerChain, TakesTheSmallestTtlOnThePath) {
  EXPECT_EQ(follow("q", {cname("q", 300, "b"), cname("b", 7, "c"), a("c", 60, "192.0.2.1")}), "192.0.2.1/7 ");
  EXPECT_EQ(follow("q", {cname("q", 300, "b"), a("b", 6, "192.0.2.1")}), "192.0.2.1/6 ");
}

TEST(AnswerChain, LeavesOutRecordsOfOtherOwners) {
  EXPECT_EQ(follow("q", {a("x", 1, "192.0.2.1"), cname("x", 1, "y"), a("y", 1, "192.0.2.2")}), "");
  EXPECT_EQ(follow("q", {a("sub.q", 1, "192.0.2.1"), a("q.q", 1, "192.0.2.2")}), "");
}

TEST(AnswerChain, ComparesOwnersWithoutAsciiCaseAndNoOtherFolding) {
  EXPECT_EQ(follow("question", {a("QUESTION", 1, "192.0.2.1")}), "192.0.2.1/1 ");
  EXPECT_EQ(follow("q", {cname("Q", 1, "B\xc4"), a("b\xc4", 1, "192.0.2.1"), a("b\xe4", 1, "192.0.2.2")}),
            "192.0.2.1/1 ");
}

TEST(AnswerChain, EndsInALoop) {
  EXPECT_EQ(follow("q", {cname("q", 9, "b"), cname("b", 8, "q"), a("b", 7, "192.0.2.1")}), "192.0.2.1/7 ");
  EXPECT_EQ(follow("q", {cname("q", 9, "q")}), "");
}

TEST(AnswerChain, TheFirstPathThatReachesARecordCounts) {
  // Both aliases of q lead to c; the one that stands first is expanded first, though its TTL is the larger.
  EXPECT_EQ(follow("q", {cname("q", 50, "c"), cname("q", 2, "c"), a("c", 60, "192.0.2.1")}), "192.0.2.1/50 ");
  EXPECT_EQ(follow("q", {cname("q", 2, "c"), cname("q", 50, "c"), a("c", 60, "192.0.2.1")}), "192.0.2.1/2 ");
}

TEST(AnswerChain, ExpandsTheFirstReachedAliasInMessageOrderNotInOrderOfReaching) {
  // After q is expanded, b's alias (reached later, standing first) goes before q's second alias.
  EXPECT_EQ(follow("q", {cname("b", 40, "c"), cname("q", 50, "b"), cname("q", 2, "c"), a("c", 60, "192.0.2.1")}),
            "192.0.2.1/40 ");
}

TEST(AnswerChain, StopsAfter16Aliases) {
  std::vector<ChainRecord> records;
  for (std::size_t i = 0; i < 17; ++i)
    records.push_back(cname("n" + std::to_string(i), 60, "n" + std::to_string(i + 1)));
  records.push_back(a("n16", 60, "192.0.2.16"));
  records.push_back(a("n17", 60, "192.0.2.17"));
  EXPECT_EQ(follow("n0", records), "192.0.2.16/60 ");
}

TEST(AnswerChain, IsEmptyWithoutRecords) { EXPECT_EQ(follow("q", {}), ""); }

}  // namespace
}  // namespace namewall
