// Transactions against the kernel: all or nothing, each error with its message, and who may change the table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "tests/kernel/support/nft_sets_test.h"

namespace namewall::kernel_tests {
namespace {

using namespace nft;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class NftTransaction : public NftSetsTest {
 protected:
  Nanoseconds time_left(const Element& element) {
    Nanoseconds left{0};
    const auto read = read_elements(socket_, {&element, 1},
                                    [&](const Element& found) { left = found.expires.value_or(Nanoseconds::max()); });
    EXPECT_TRUE(read);
    return left;
  }
  std::string comment_of(const Element& element) {
    std::string comment;
    EXPECT_TRUE(read_elements(socket_, {&element, 1}, [&](const Element& found) { comment = found.comment; }));
    return comment;
  }
  // Half of its hour is over.
  static Element half_over(std::uint32_t number) {
    auto element = numbered_grant(number);
    element.expires = 30min;
    return element;
  }
};

MATCHER_P2(IsError, sequence, error, "") { return arg.sequence == sequence && arg.error == error; }

TEST_F(NftTransaction, EveryErrorNamesItsMessageAndNothingIsChanged) {
  add({numbered_grant(1)});
  const auto kept = numbered_grant(1), absent = numbered_grant(2), fresh = numbered_grant(3);
  Batch batch(1000);
  batch.add_elements({&fresh, 1});
  const auto first = batch.delete_elements({&absent, 1});
  batch.delete_elements({&kept, 1});
  const auto second = batch.add_chain("x", "no-such-table");
  const auto result = try_commit(batch);
  EXPECT_FALSE(result.is_committed());
  EXPECT_THAT(result.errors, ElementsAre(IsError(first, ENOENT), IsError(second, ENOENT)));
  EXPECT_TRUE(result.has(ENOENT));
  EXPECT_NE(result.find(second), nullptr);
  EXPECT_THAT(result.text(), HasSubstr("message 1002: No such file or directory (2 errors)"));
  const auto elements = list(SetId::kLearned4);
  ASSERT_EQ(elements.size(), 1u);
  EXPECT_EQ(elements[0].key, kept.key);
}

TEST_F(NftTransaction, AnErrorNamesTheElementOfItsMessageWhereTheKernelTells) {
  add({numbered_grant(1), numbered_grant(3)});
  Batch batch;
  batch.add_elements(std::vector{numbered_grant(7), numbered_grant(8)});
  const auto number = batch.delete_elements(std::vector{numbered_grant(1), numbered_grant(2), numbered_grant(3)});
  const auto nowhere = batch.delete_elements(std::vector{numbered_grant(1)}, "no-such-table");
  const auto result = try_commit(batch);
  ASSERT_THAT(result.errors, ElementsAre(IsError(number, ENOENT), IsError(nowhere, ENOENT)));
  EXPECT_EQ(result.errors[1].element, std::nullopt);
  if (!result.errors[0].element) GTEST_SKIP() << "this kernel does not tell";
  EXPECT_EQ(result.errors[0].element, 1u);
}

TEST_F(NftTransaction, AnErrorDoesNotStayForTheNextTransaction) {
  const auto absent = numbered_grant(1);
  Batch wrong;
  wrong.delete_elements({&absent, 1});
  EXPECT_FALSE(try_commit(wrong).is_committed());
  add({numbered_grant(2)});
  EXPECT_EQ(list(SetId::kLearned4).size(), 1u);
}

TEST_F(NftTransaction, ErrorsThatDoNotFitAreAnAnswerThatWasLost) {
  int least = 2048;
  ASSERT_EQ(setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
  const auto absent = numbered_grant(1);
  Batch batch;
  for (int i = 0; i < 2000; ++i) batch.delete_elements({&absent, 1});
  const auto result = try_commit(batch);
  EXPECT_TRUE(result.is_lost);
  EXPECT_FALSE(result.is_committed());
  add({numbered_grant(2)});  // as if nothing had been
  EXPECT_EQ(list(SetId::kLearned4).size(), 1u);
}

TEST_F(NftTransaction, ATransactionOfManyMegabytesIsOneTransaction) {
  constexpr std::uint32_t kCount = 20'000;
  auto elements = numbered_grants(0, kCount);
  for (auto& element : elements) element.comment.append(150, '.');
  const auto absent = numbered_grant(kCount);
  Batch wrong;
  wrong.add_elements(elements);
  wrong.delete_elements({&absent, 1});
  EXPECT_GT(wrong.finish().size(), 4'000'000u);
  EXPECT_FALSE(try_commit(wrong).is_committed());
  EXPECT_THAT(list(SetId::kLearned4), IsEmpty());
  add(elements);
  std::size_t found = 0;
  EXPECT_TRUE(read_elements(socket_, elements, [&](const Element&) { ++found; }));
  EXPECT_EQ(found, kCount);
}

TEST_F(NftTransaction, BothWaysOfRenewingRestartTheTimeOfAPresentElement) {
  add({half_over(1), half_over(2)});
  const auto by_update = numbered_grant(1), by_replacement = numbered_grant(2);
  ASSERT_LE(time_left(by_update), 30min);
  const auto abilities = probe_abilities(socket_);
  ASSERT_TRUE(abilities) << abilities.error().message();
  if (abilities->update == UpdateWay::kUpdate) {
    Batch batch;
    batch.renew_elements({&by_update, 1}, UpdateWay::kUpdate);
    commit(batch);
    EXPECT_GT(time_left(by_update), 59min);
  }
  Batch batch;
  batch.renew_elements({&by_replacement, 1}, UpdateWay::kReplace);
  commit(batch);
  EXPECT_GT(time_left(by_replacement), 59min);
}

TEST_F(NftTransaction, RenewingTakesWhatIsAbsentOrExpired) {
  auto brief = numbered_grant(1);
  brief.timeout = 20ms;
  for (const auto way : {UpdateWay::kUpdate, UpdateWay::kReplace}) {
    add({brief});
    std::this_thread::sleep_for(80ms);
    const auto expired = numbered_grant(1), absent = numbered_grant(2);
    ASSERT_EQ(time_left(expired), 0ns);
    Batch batch;
    batch.renew_elements(std::vector{expired, absent}, way);
    commit(batch);
    EXPECT_GT(time_left(expired), 59min);
    EXPECT_GT(time_left(absent), 59min);
    Batch remove;
    remove.delete_elements(std::vector{expired, absent});
    commit(remove);
  }
}

TEST_F(NftTransaction, OnlyReplacementWritesAnotherComment) {
  add({numbered_grant(1)});
  auto renamed = numbered_grant(1);
  renamed.comment = "other.example";
  Batch update;
  update.renew_elements({&renamed, 1}, UpdateWay::kUpdate);
  commit(update);
  EXPECT_EQ(comment_of(renamed), numbered_grant(1).comment);
  Batch replace;
  replace.renew_elements({&renamed, 1}, UpdateWay::kReplace);
  commit(replace);
  EXPECT_EQ(comment_of(renamed), "other.example");
}

TEST_F(NftTransaction, DestroyingWhatIsAbsentIsNoError) {
  if (!probe_abilities(socket_)->has_destroy) GTEST_SKIP() << "this kernel has no NFT_MSG_DESTROYSETELEM";
  add({numbered_grant(1)});
  Batch batch;
  batch.destroy_elements(std::vector{numbered_grant(1), numbered_grant(2)});
  commit(batch);
  EXPECT_THAT(list(SetId::kLearned4), IsEmpty());
}

TEST_F(NftTransaction, ProbingLeavesNothingBehindAndAgreesWithTheKernel) {
  const auto before = nft_output("list ruleset");
  const auto abilities = probe_abilities(socket_);
  ASSERT_TRUE(abilities) << abilities.error().message();
  EXPECT_EQ(nft_output("list ruleset"), before);

  Batch batch;
  const auto table = batch.add_table(TableKind::kOwned, "mine");
  const auto result = try_commit(batch);
  EXPECT_EQ(result.is_committed(), abilities->table == TableKind::kOwned);
  EXPECT_EQ(result.find(table) != nullptr, abilities->table == TableKind::kPlain);
}

TEST_F(NftTransaction, TheGenerationMovesWithEveryCommit) {
  const auto before = socket_.generation();
  ASSERT_TRUE(before);
  add({numbered_grant(1)});
  const auto after = socket_.generation();
  ASSERT_TRUE(after);
  EXPECT_EQ(after->id, before->id + 1);
  nft_output("add table inet other");
  EXPECT_EQ(socket_.generation()->id, before->id + 2);
}

class NftOwnedTable : public NftSetsTest {
 protected:
  NftOwnedTable() : NftSetsTest(TableKind::kOwned) { add({numbered_grant(1)}); }
  void SetUp() override {
    if (HasFailure()) GTEST_SKIP() << "this kernel has no owned, persistent tables";
  }
  void expect_whole() {
    const auto other = NftSocket::open();
    ASSERT_TRUE(other);
    std::size_t count = 0;
    auto reader = NftSocket::open().value();
    EXPECT_TRUE(list_elements(reader, SetId::kLearned4, [&](const Element&) { ++count; }));
    EXPECT_EQ(count, 1u);
  }
};

TEST_F(NftOwnedTable, NobodyElseChangesIt) {
  auto other = NftSocket::open().value();
  const auto element = numbered_grant(1);
  Batch batch;
  const auto number = batch.delete_elements({&element, 1});
  const auto result = other.commit(batch);
  ASSERT_TRUE(result);
  EXPECT_THAT(result->errors, ElementsAre(IsError(number, EPERM)));

  EXPECT_NE(nft_exit_code("delete table inet namewall"), 0);
  EXPECT_NE(nft_exit_code("add chain inet namewall x"), 0);
  EXPECT_NE(nft_exit_code("flush set inet namewall learned4"), 0);
  EXPECT_EQ(nft_exit_code("flush ruleset"), 0);
  expect_whole();
  const auto listing = read_table(other);
  ASSERT_TRUE(listing && *listing);
  EXPECT_TRUE((*listing)->is_owned && (*listing)->is_persistent);
  EXPECT_EQ((*listing)->owner, socket_.port());
}

// While nobody owns it everybody may change it: see TableKind.
TEST_F(NftOwnedTable, ItOutlivesItsOwnerAndIsAdoptedAgain) {
  { const auto dying = std::move(socket_); }
  expect_whole();
  socket_ = NftSocket::open().value();
  EXPECT_EQ(read_table(socket_).value()->owner, 0u);
  EXPECT_EQ(nft_exit_code("add chain inet namewall foreign"), 0);

  Batch adopt;
  adopt.add_table(TableKind::kOwned);
  commit(adopt);
  EXPECT_EQ(read_table(socket_).value()->owner, socket_.port());
  add({numbered_grant(2)});
  EXPECT_NE(nft_exit_code("delete chain inet namewall foreign"), 0);
  EXPECT_EQ(nft_exit_code("flush ruleset"), 0);
  EXPECT_EQ(list(SetId::kLearned4).size(), 2u);
}

TEST_F(NftOwnedTable, AnotherProcessCannotTakeItFromItsOwner) {
  auto other = NftSocket::open().value();
  Batch take;
  take.add_table(TableKind::kOwned);
  const auto result = other.commit(take);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->has(EPERM)) << result->text();
}

}  // namespace
}  // namespace namewall::kernel_tests
