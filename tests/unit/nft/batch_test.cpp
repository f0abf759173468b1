#include "nft/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>

#include "tests/unit/nft/message_dump.h"

namespace namewall::nft {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::uint8_t kTcp = 6;

std::string hex_of(std::string_view text) {
  return to_hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}) + "00";
}
const std::string kTable = hex_of("namewall"), kLearned = hex_of("learned4");
const std::string kKey =
    "0100000000000000"
    "c0000207"
    "06000000"
    "01bb0000";
const std::string kHour = "000000000036ee80", kHalf = "00000000001b7740";  // ms

Element grant(std::optional<Nanoseconds> timeout = 1h, std::string comment = "a.example") {
  return {.set = SetId::kLearned4,
          .key = encode(EndpointKey{1, *parse_address("192.0.2.7"), kTcp, 443}),
          .timeout = timeout,
          .comment = std::move(comment)};
}

// Without BATCH_BEGIN and BATCH_END.
std::vector<std::string> inner(Batch& batch) {
  auto texts = to_texts(batch.finish());
  if (texts.size() < 2) return {};
  EXPECT_EQ(texts.front(), "16");
  EXPECT_EQ(texts.back(), "17");
  return {texts.begin() + 1, texts.end() - 1};
}

// NFT_MSG_NEWSETELEM is 12, with NLM_F_CREATE and never NLM_F_EXCL; NFT_MSG_DELSETELEM is 14.
std::string new_elements(const std::string& elements) {
  return "12/0400 1=" + kTable + " 2=" + kLearned + " 3=[" + elements + "]";
}
std::string delete_elements(const std::string& elements) {
  return "14 1=" + kTable + " 2=" + kLearned + " 3=[" + elements + "]";
}
std::string element(const std::string& rest = "") { return "1=[1=[1=" + kKey + "]" + rest + "]"; }
const std::string kCommentBytes = " 6=000a" + hex_of("a.example");

TEST(NftBatch, MessagesAreNumberedFromTheFirstOn) {
  Batch batch(100);
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.add_table(TableKind::kPlain), 101u);
  EXPECT_EQ(batch.add_chain("output"), 102u);
  EXPECT_FALSE(batch.empty());
  EXPECT_EQ(batch.next_sequence(), 103u);
  std::vector<std::uint32_t> numbers;
  for (const auto& message : split_messages(batch.finish())) numbers.push_back(message.sequence);
  EXPECT_THAT(numbers, ElementsAre(100, 101, 102, 103));
}

TEST(NftBatch, AnOwnedTableIsPersistentToo) {
  Batch batch;
  batch.add_table(TableKind::kOwned);
  batch.add_table(TableKind::kPlain);
  batch.delete_table("other");
  EXPECT_THAT(inner(batch), ElementsAre("0/0400 1=" + kTable + " 2=00000006", "0/0400 1=" + kTable + " 2=00000000",
                                        "2 1=" + hex_of("other")));
}

TEST(NftBatch, AddingAnElementSaysItsTimeoutInMillisecondsAndItsComment) {
  Batch batch;
  batch.add_elements({{grant()}});
  EXPECT_THAT(inner(batch), ElementsAre(new_elements(element(" 4=" + kHour + kCommentBytes))));
}

TEST(NftBatch, AnElementThatIsPartlyOverSaysWhatIsLeft) {
  auto partly = grant();
  partly.expires = 30min;
  Batch batch;
  batch.add_elements({{partly}});
  EXPECT_THAT(inner(batch), ElementsAre(new_elements(element(" 4=" + kHour + " 5=" + kHalf + kCommentBytes))));
}

// Without the expiration, a kernel that renews leaves an element alone that has this timeout already, and says so to
// nobody.
TEST(NftBatch, RenewingByUpdateSaysTimeoutAndExpiration) {
  Batch batch;
  EXPECT_EQ(batch.renew_elements({{grant()}}, UpdateWay::kUpdate), 2u);
  EXPECT_THAT(inner(batch), ElementsAre(new_elements(element(" 4=" + kHour + " 5=" + kHour + kCommentBytes))));
}

// The first one makes sure that there is one to delete, present, absent or expired.
TEST(NftBatch, RenewingByReplacementAddsDeletesAndAdds) {
  Batch batch;
  batch.renew_elements({{grant()}}, UpdateWay::kReplace);
  const auto added = new_elements(element(" 4=" + kHour + " 5=" + kHour + kCommentBytes));
  EXPECT_THAT(inner(batch), ElementsAre(added, delete_elements(element()), added));
}

TEST(NftBatch, AnExpirationIsNeverBeyondTheTimeout) {
  auto wrong = grant();
  wrong.expires = 2h;
  Batch batch;
  batch.renew_elements({{wrong}}, UpdateWay::kUpdate);
  EXPECT_THAT(inner(batch), ElementsAre(HasSubstr(" 4=" + kHour + " 5=" + kHour)));
}

// In jiffies it would be 0, which 6.12 reads as "never".
TEST(NftBatch, ATimeoutIsNeverShorterThanAJiffy) {
  for (const Nanoseconds timeout : {Nanoseconds{-5}, Nanoseconds{0}, Nanoseconds{1}, Nanoseconds{3ms}}) {
    Batch batch;
    batch.add_elements({{grant(timeout)}});
    EXPECT_THAT(inner(batch), ElementsAre(HasSubstr(" 4=0000000000000014")));
  }
}

TEST(NftBatch, APermanentElementHasNoTimeout) {
  Batch batch;
  batch.renew_elements({{grant(std::nullopt, "")}}, UpdateWay::kUpdate);
  EXPECT_THAT(inner(batch), ElementsAre(new_elements(element())));
}

TEST(NftBatch, DeletingNamesKeysAlone) {
  Batch batch;
  batch.delete_elements({{grant()}});
  batch.destroy_elements({{grant()}});
  batch.flush_set(SetId::kLearned4);
  EXPECT_THAT(inner(batch),
              ElementsAre(delete_elements(element()), "30 1=" + kTable + " 2=" + kLearned + " 3=[" + element() + "]",
                          "14 1=" + kTable + " 2=" + kLearned));
}

TEST(NftBatch, AnIntervalHasTwoKeysAlsoToBeDeleted) {
  const Element interval{.set = SetId::kListen, .key = encode_port(1, kTcp, 80), .key_end = encode_port(1, kTcp, 90)};
  const std::string keys =
      "3=[1=[1=[1=0100000000000000"
      "06000000"
      "00500000] 10=[1=0100000000000000"
      "06000000"
      "005a0000]]]";
  Batch batch;
  batch.add_elements({{interval}});
  batch.delete_elements({{interval}});
  EXPECT_THAT(inner(batch), ElementsAre(EndsWith(keys), EndsWith(keys)));
}

TEST(NftBatch, AMapsElementHasData) {
  const Element token{.set = SetId::kTokens, .key = encode_cgroup(1), .data = encode_mark(0x20000)};
  Batch batch;
  batch.add_elements({{token}});
  batch.delete_elements({{token}});
  EXPECT_THAT(inner(batch), ElementsAre(EndsWith("[1=[1=[1=0100000000000000] 2=[1=00000200]]]"),
                                        EndsWith("[1=[1=[1=0100000000000000]]]")));
}

TEST(NftBatch, ElementsOfOneSetShareAMessage) {
  const Element enforced{.set = SetId::kEnforced, .key = encode_cgroup(1)};
  Batch batch;
  EXPECT_EQ(batch.add_elements({}), 2u);
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.add_elements({{grant(), grant(), enforced, grant()}}), 2u);
  EXPECT_EQ(batch.next_sequence(), 5u);
}

TEST(NftBatch, ManyElementsAreSplitWhereAMessagesListEnds) {
  std::vector<Element> elements;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    auto one = grant(1h, std::string(i % 240, 'c'));
    one.key = encode_own_pair(i, 0);
    one.set = SetId::kOwnPairs;
    elements.push_back(one);
  }
  for (const auto way : {UpdateWay::kUpdate, UpdateWay::kReplace}) {
    Batch batch;
    batch.renew_elements(elements, way);
    std::vector<std::size_t> counts;
    std::size_t count = 0;
    for (const auto& message : split_messages(batch.finish())) {
      EXPECT_LE(message.attributes.size(), 65535u + 40);
      const auto text = to_text(message);  // fails where a length does not fit
      std::size_t here = 0;
      for (auto at = text.find("1=[1=[1="); at != std::string::npos; at = text.find("1=[1=[1=", at + 1)) ++here;
      count += here;
    }
    EXPECT_EQ(count, way == UpdateWay::kUpdate ? 5000u : 15000u);
  }
}

TEST(NftBatch, ATooLongCommentIsCutToWhatTheKernelTakes) {
  Batch batch;
  batch.add_elements({{grant(1h, std::string(400, 'c'))}});
  const auto message = inner(batch).at(0);
  const auto udata = message.substr(message.find(" 6=") + 3);
  EXPECT_THAT(udata, StartsWith("00f163"));
  EXPECT_EQ(udata.find(']'), 2 * (2 + kMaxComment + 1));
  EXPECT_THAT(udata, HasSubstr("6300]"));
}

TEST(NftBatch, AHashHasNoSizeAndSaysItsKeyTypes) {
  Batch batch;
  batch.add_set(shape_of(SetId::kLearned4));
  // Flags: timeout. Type: cgroupsv2 . ipv4_addr . inet_proto . inet_service, six bits each. Collected every 30 s.
  EXPECT_THAT(inner(batch), ElementsAre("9/0400 1=" + kTable + " 2=" + kLearned +
                                        " 3=00000010 4=00b8730d 5=00000014 10=00000005 12=00007530 13=000400000000"));
}

TEST(NftBatch, AnIntervalSetSaysTheLengthsOfItsFields) {
  Batch batch;
  batch.add_set(shape_of(SetId::kFixed6));
  EXPECT_THAT(inner(batch),
              ElementsAre("9/0400 1=" + kTable + " 2=" + hex_of("fixed6") +
                          " 3=00000084 4=00b8830d 5=00000020 10=00000014 9=[2=[1=[1=00000008] 1=[1=00000010] "
                          "1=[1=00000001] 1=[1=00000002]]] 13=000400000000"));
}

TEST(NftBatch, AMapSaysTheTypeAndTheByteOrderOfItsData) {
  Batch batch;
  batch.add_set(shape_of(SetId::kTokens));
  batch.add_set(shape_of(SetId::kPlaces4));
  EXPECT_THAT(inner(batch), ElementsAre(EndsWith(" 3=00000008 4=0000002e 5=00000008 6=00000013 7=00000004 10=00000004 "
                                                 "13=000401000000"
                                                 "010401000000"),
                                        EndsWith(" 3=00000008 4=0000730d 5=0000000c 6=0000000d 7=00000002 10=0000001d "
                                                 "13=000400000000"
                                                 "010402000000")));
}

TEST(NftBatch, ASetThatRulesAddToIsDynamicAndHasASize) {
  Batch batch;
  batch.add_set(shape_of(SetId::kFlows4));
  EXPECT_THAT(inner(batch), ElementsAre(HasSubstr(" 3=00000030 4=00b8730d 5=00000014 10=0000001f 12=00002710 "
                                                  "9=[1=00040000] ")));
}

TEST(NftBatch, AStatefulSetBringsItsExpressionAlong) {
  Batch batch;
  batch.add_set(shape_of(SetId::kRefused));
  batch.add_set(shape_of(SetId::kReported));
  EXPECT_THAT(inner(batch), ElementsAre(EndsWith("13=000401000000 17=[1=" + hex_of("counter") + " 2=[]]"),
                                        EndsWith("17=[1=" + hex_of("limit") +
                                                 " 2=[1=0000000000000032 2=0000000000000001 3=00000064 4=00000000 "
                                                 "5=00000000]]")));
}

TEST(NftBatch, EverySetIsMadeAsItsShapeSays) {
  for (const auto& shape : all_sets()) {
    Batch batch;
    batch.add_set(shape);
    const auto text = inner(batch).at(0);
    EXPECT_THAT(text, HasSubstr(" 2=" + hex_of(shape.name) + " "));
    EXPECT_EQ(text.find(" 12=") != std::string::npos, shape.has_timeouts) << shape.name;
    if (shape.has_timeouts) {
      EXPECT_GE(shape.gc_interval_ms, 10'000u) << shape.name;
    }
    EXPECT_EQ(shape.size != 0, shape.is_dynamic) << shape.name << ": expired elements count against a size";
    EXPECT_EQ(find_set(shape.name), shape.id);
  }
}

TEST(NftBatch, ChainsAreMadeFlushedAndDeleted) {
  Batch batch;
  batch.add_base_chain("output", "filter", NF_INET_LOCAL_OUT, -150);
  batch.add_chain("refuse");
  batch.flush_chain("refuse");
  batch.delete_chain("refuse");
  const auto output = hex_of("output"), refuse = hex_of("refuse");
  EXPECT_THAT(inner(batch), ElementsAre("3/0400 1=" + kTable + " 3=" + output +
                                            " 4=[1=00000003 2=ffffff6a] 5=00000001 7=" + hex_of("filter"),
                                        "3/0400 1=" + kTable + " 3=" + refuse, "8 1=" + kTable + " 2=" + refuse,
                                        "5 1=" + kTable + " 3=" + refuse));
}

TEST(NftBatch, ARuleIsAppendedToItsChain) {
  auto* rule = nftnl_rule_alloc();
  nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
  nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, "namewall");
  nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, "refuse");
  auto* counter = nftnl_expr_alloc("counter");
  nftnl_rule_add_expr(rule, counter);
  Batch batch;
  batch.add_rule(*rule);
  nftnl_rule_free(rule);
  const auto messages = split_messages(batch.finish());
  EXPECT_EQ(messages.at(1).family, NFPROTO_INET);
  EXPECT_THAT(to_text(messages.at(1)), StartsWith("6/0c00 1=" + kTable + " 2=" + hex_of("refuse") + " 4=["));
}

TEST(NftBatch, TheSameCallsGiveTheSameBytes) {
  const auto bytes = [] {
    Batch batch;
    for (const auto& shape : all_sets()) batch.add_set(shape);
    batch.renew_elements({{grant(), grant()}}, UpdateWay::kReplace);
    const auto span = batch.finish();
    return Bytes(span.begin(), span.end());
  };
  EXPECT_EQ(bytes(), bytes());
}

TEST(NftBatch, FinishingTwiceClosesOnce) {
  Batch batch;
  batch.add_table(TableKind::kPlain);
  const auto size = batch.finish().size();
  EXPECT_EQ(batch.finish().size(), size);
}

}  // namespace
}  // namespace namewall::nft
