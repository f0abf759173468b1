#include "policy/dns_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/wire_name.h"
#include "tests/support/dns_builder.h"

namespace namewall {
namespace {

using namewall::testing::address_of;
using namewall::testing::AnswerBuilder;
using namewall::testing::Bytes;
using namewall::testing::name_of;
using namewall::testing::RawRecord;
using namewall::testing::wire_name;

constexpr std::size_t kFlagsAt = 2, kQuestionCountAt = 5, kAnswerCountAt = 7, kAuthorityCountAt = 9,
                      kAdditionalCountAt = 11;

Bytes question_for(std::string_view name, bool with_edns = false) {
  return build_question({.id = 0xbeef, .name = name_of(name), .type = kTypeA}, with_edns);
}

// A question whose name is these bytes.
Bytes question_with(const Bytes& name) {
  Bytes message = {0xbe, 0xef, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  message.insert(message.end(), name.begin(), name.end());
  message.insert(message.end(), {0, kTypeA, 0, 1});
  return message;
}

Bytes question_with_opt(const Bytes& options) {
  Bytes message = question_for("www.example.com", true);
  message[message.size() - 1] = static_cast<std::uint8_t>(options.size());
  message.insert(message.end(), options.begin(), options.end());
  return message;
}

Bytes label(std::size_t length, char c = 'a') {
  Bytes bytes(length + 1, static_cast<std::uint8_t>(c));
  bytes[0] = static_cast<std::uint8_t>(length);
  return bytes;
}

// Labels of these lengths and the end byte.
Bytes name_of_lengths(const std::vector<std::size_t>& lengths) {
  Bytes name;
  for (const std::size_t length : lengths) {
    const Bytes bytes = label(length);
    name.insert(name.end(), bytes.begin(), bytes.end());
  }
  name.push_back(0);
  return name;
}

std::string why_question_fails(const Bytes& message) {
  const Result<DnsQuestion> question = parse_question(message);
  return question ? "" : question.error().what;
}

TEST(DnsQuestion, IsReadBackAsItWasBuilt) {
  for (const bool with_edns : {false, true}) {
    const Result<DnsQuestion> question = parse_question(question_for("www.example.com", with_edns));
    ASSERT_TRUE(question.has_value()) << question.error().what;
    EXPECT_EQ(question->id, 0xbeef);
    EXPECT_EQ(question->name.text(), "www.example.com");
    EXPECT_EQ(question->type, kTypeA);
    EXPECT_EQ(question->record_class, 1);
  }
}

TEST(DnsQuestion, FoldsTheCaseOfItsName) {
  const Result<DnsQuestion> question = parse_question(question_with(wire_name("WwW.eXample-1_Z.COM")));
  ASSERT_TRUE(question.has_value());
  EXPECT_EQ(question->name.text(), "www.example-1_z.com");
}

TEST(DnsQuestion, RefusesEveryTruncationOfAGoodMessage) {
  const Bytes whole = question_for("www.example.com", true);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_NE(why_question_fails(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length))), "")
        << length;
  }
}

TEST(DnsQuestion, RefusesResponsesOtherOpcodesAndTruncation) {
  for (const std::uint8_t flag : Bytes{0x80, 0x08, 0x10, 0x40, 0x78, 0x02}) {
    Bytes message = question_for("www.example.com");
    message[kFlagsAt] = flag;
    EXPECT_EQ(why_question_fails(message), "not a standard query") << int{flag};
  }
}

TEST(DnsQuestion, LeavesTheOtherFlagsFree) {
  Bytes message = question_for("www.example.com");
  message[kFlagsAt] = 0x05;
  message[kFlagsAt + 1] = 0xff;
  EXPECT_EQ(why_question_fails(message), "");
}

TEST(DnsQuestion, RefusesAnyOtherNumberOfQuestionsAndRecords) {
  for (const std::size_t at : {kQuestionCountAt, kAnswerCountAt, kAuthorityCountAt, kAdditionalCountAt}) {
    for (const std::uint8_t count : Bytes{0, 1, 2}) {
      Bytes message = question_for("www.example.com");
      const bool good = message[at] == count;
      message[at] = count;
      EXPECT_EQ(why_question_fails(message).empty(), good) << at << " " << int{count};
    }
    Bytes message = question_for("www.example.com");
    message[at - 1] = 1;  // the count's upper byte
    EXPECT_NE(why_question_fails(message), "") << at;
  }
}

TEST(DnsQuestion, RefusesClassesOtherThanIn) {
  Bytes message = question_for("www.example.com");
  message[message.size() - 1] = 3;
  EXPECT_EQ(why_question_fails(message), "the question's class is not IN");
}

TEST(DnsQuestion, RefusesBytesBehindTheQuestionAndBehindTheOpt) {
  for (const bool with_edns : {false, true}) {
    Bytes message = question_for("www.example.com", with_edns);
    message.push_back(0);
    EXPECT_NE(why_question_fails(message), "");
  }
}

TEST(DnsQuestion, RefusesNamesWithOtherCharacters) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool good = std::isalnum(static_cast<int>(byte)) != 0 || byte == '-' || byte == '_';
    const Bytes message = question_with({3, 'a', static_cast<std::uint8_t>(byte), 'b', 0});
    EXPECT_EQ(why_question_fails(message).empty(), good) << byte;
  }
}

TEST(DnsQuestion, RefusesTheRootAndCompressedNames) {
  EXPECT_EQ(why_question_fails(question_with({0})), "the question's name is the root");
  EXPECT_EQ(why_question_fails(question_with({0xc0, 12})), "the question's name is compressed");
  EXPECT_EQ(why_question_fails(question_with({1, 'a', 0xc0, 12})), "the question's name is compressed");
  EXPECT_EQ(why_question_fails(question_with({0x41, 'a', 0})), "the question's name is compressed");
}

TEST(DnsQuestion, TakesNamesUpTo251Characters) {
  EXPECT_EQ(why_question_fails(question_with(name_of_lengths({63, 63, 63, 59}))), "");
  EXPECT_EQ(why_question_fails(question_with(name_of_lengths({63, 63, 63, 60}))),
            "the question's name is longer than 251 characters");
}

TEST(DnsQuestion, TakesMessagesUpTo512Bytes) {
  const std::size_t room = kMaxQuestionLength - question_for("www.example.com", true).size();
  for (const std::size_t length : {room, room + 1}) {
    const std::size_t payload = length - 4;
    Bytes options = {0, 12, static_cast<std::uint8_t>(payload >> 8), static_cast<std::uint8_t>(payload)};
    options.resize(length);
    Bytes message = question_with_opt(options);
    message[message.size() - length - 2] = static_cast<std::uint8_t>(length >> 8);
    EXPECT_EQ(why_question_fails(message), length == room ? "" : "longer than 512 bytes");
  }
}

TEST(DnsQuestion, TakesAnOptWhoseOptionsFillItExactly) {
  EXPECT_EQ(why_question_fails(question_with_opt({0, 10, 0, 2, 1, 2, 0, 12, 0, 0})), "");
  EXPECT_NE(why_question_fails(question_with_opt({0, 10, 0, 3, 1, 2})), "");
  EXPECT_NE(why_question_fails(question_with_opt({0, 10, 0, 1, 1, 2})), "");
  EXPECT_NE(why_question_fails(question_with_opt({0, 10, 0})), "");
}

TEST(DnsQuestion, TakesAtMost16Options) {
  EXPECT_EQ(why_question_fails(question_with_opt(Bytes(4 * 16, 0))), "");
  EXPECT_NE(why_question_fails(question_with_opt(Bytes(4 * 17, 0))), "");
}

TEST(DnsQuestion, RefusesAnAdditionalRecordThatIsNotAnOptOfTheRoot) {
  Bytes other_type = question_for("www.example.com", true);
  other_type[other_type.size() - 9] = kTypeA;
  EXPECT_NE(why_question_fails(other_type), "");
  Bytes other_owner = question_for("www.example.com", true);
  const auto owner_at = other_owner.end() - 11;
  *owner_at = 'a';
  other_owner.insert(other_owner.end() - 10, 0);
  other_owner.insert(other_owner.end() - 12, 1);
  EXPECT_NE(why_question_fails(other_owner), "");
  Bytes longer = question_for("www.example.com", true);
  longer[longer.size() - 1] = 1;
  EXPECT_NE(why_question_fails(longer), "");
}

Result<DnsAnswer> answer_with(const RawRecord& record) {
  return parse_answer(AnswerBuilder("www.example.com").record(record).build());
}

std::string why_answer_fails(const Bytes& message) {
  const Result<DnsAnswer> answer = parse_answer(message);
  return answer ? "" : answer.error().what;
}

TEST(DnsAnswer, GivesTheAddressesOfTheQuestionName) {
  for (const bool compressed : {true, false}) {
    AnswerBuilder builder("www.example.com", kTypeA, 0xabcd);
    builder.a("www.example.com", 60, "192.0.2.1").aaaa("WWW.Example.COM", 30, "2001:db8::1").with_opt();
    if (!compressed) builder.uncompressed();
    const Result<DnsAnswer> answer = parse_answer(builder.build());
    ASSERT_TRUE(answer.has_value()) << answer.error().what;
    EXPECT_EQ(answer->id, 0xabcd);
    EXPECT_EQ(answer->kind, AnswerKind::kTeaches);
    EXPECT_EQ(answer->answer_count, 2);
    EXPECT_EQ(answer->question_name.text(), "www.example.com");
    EXPECT_EQ(answer->question_type, kTypeA);
    ASSERT_EQ(answer->addresses.size(), 2u);
    EXPECT_EQ(answer->addresses[0].address, address_of("192.0.2.1"));
    EXPECT_EQ(answer->addresses[0].ttl, 60u);
    EXPECT_FALSE(answer->addresses[0].from_aaaa);
    EXPECT_EQ(answer->addresses[1].address, address_of("2001:db8::1"));
    EXPECT_TRUE(answer->addresses[1].from_aaaa);
  }
}

TEST(DnsAnswer, RemembersThatAMappedAddressCameFromAnAaaaRecord) {
  const Result<DnsAnswer> answer = parse_answer(
      AnswerBuilder("a.example").aaaa("a.example", 1, "::ffff:192.0.2.1").a("a.example", 1, "192.0.2.1").build());
  ASSERT_TRUE(answer.has_value());
  ASSERT_EQ(answer->addresses.size(), 2u);
  EXPECT_EQ(answer->addresses[0].address, answer->addresses[1].address);
  EXPECT_TRUE(answer->addresses[0].from_aaaa);
  EXPECT_FALSE(answer->addresses[1].from_aaaa);
}

TEST(DnsAnswer, FollowsCnamesAndLeavesForeignOwnersOut) {
  const Result<DnsAnswer> answer = parse_answer(AnswerBuilder("www.example.com")
                                                    .cname("www.example.com", 300, "edge.example.net")
                                                    .a("evil.example.org", 300, "203.0.113.66")
                                                    .a("edge.example.net", 20, "192.0.2.7")
                                                    .build());
  ASSERT_TRUE(answer.has_value());
  ASSERT_EQ(answer->addresses.size(), 1u);
  EXPECT_EQ(answer->addresses[0].address, address_of("192.0.2.7"));
  EXPECT_EQ(answer->addresses[0].ttl, 20u);
}

TEST(DnsAnswer, DoesNotTakeALabelWithADotForTwoLabels) {
  const Result<DnsAnswer> answer =
      parse_answer(AnswerBuilder("www.example.com").a("www\\.example.com", 60, "192.0.2.1").build());
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->addresses.empty());
}

TEST(DnsAnswer, ReadsATtlWithTheTopBitAsZero) {
  const Result<DnsAnswer> answer = parse_answer(AnswerBuilder("a.example")
                                                    .a("a.example", 0x80000000, "192.0.2.1")
                                                    .a("a.example", 0x7fffffff, "192.0.2.2")
                                                    .build());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->addresses[0].ttl, 0u);
  EXPECT_EQ(answer->addresses[1].ttl, 0x7fffffffu);
}

TEST(DnsAnswer, TruncatedAnswersAreNotReadFurther) {
  const Bytes message = AnswerBuilder("a.example").truncated().answer_count(9).rcode(2).build();
  const Result<DnsAnswer> answer = parse_answer(message);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->kind, AnswerKind::kTruncated);
  EXPECT_EQ(answer->answer_count, 9);
}

TEST(DnsAnswer, ErrorAnswersAreNotReadFurther) {
  const Result<DnsAnswer> answer =
      parse_answer(AnswerBuilder("a.example").rcode(3).a("a.example", 1, "192.0.2.1").build());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->kind, AnswerKind::kError);
  EXPECT_EQ(answer->rcode, 3);
  EXPECT_TRUE(answer->addresses.empty());
}

TEST(DnsAnswer, RefusesQueriesAndOtherOpcodes) {
  EXPECT_EQ(why_answer_fails(AnswerBuilder("a.example").flags(0x0100).build()), "not a response");
  EXPECT_EQ(why_answer_fails(AnswerBuilder("a.example").flags(0xa800).build()), "not an answer to a standard query");
}

TEST(DnsAnswer, RefusesAnyOtherNumberOfQuestions) {
  for (const std::uint8_t count : Bytes{0, 2}) {
    Bytes message = AnswerBuilder("a.example").build();
    message[kQuestionCountAt] = count;
    EXPECT_EQ(why_answer_fails(message), "not exactly one question");
  }
}

TEST(DnsAnswer, RefusesEveryTruncationBeforeTheEndOfItsRecords) {
  const Bytes whole = AnswerBuilder("www.example.com")
                          .cname("www.example.com", 300, "edge.example.net")
                          .a("edge.example.net", 20, "192.0.2.7")
                          .build();
  ASSERT_EQ(why_answer_fails(whole), "");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_NE(why_answer_fails(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length))), "")
        << length;
  }
}

TEST(DnsAnswer, RefusesAddressesOfTheWrongLength) {
  for (const std::size_t length : {0, 3, 5, 16}) {
    EXPECT_FALSE(answer_with({"www.example.com", kTypeA, 1, Bytes(length), {}}).has_value()) << length;
  }
  for (const std::size_t length : {0, 4, 15, 17}) {
    EXPECT_FALSE(answer_with({"www.example.com", kTypeAaaa, 1, Bytes(length), {}}).has_value()) << length;
  }
  EXPECT_TRUE(answer_with({"www.example.com", kTypeA, 1, Bytes(4), {}}).has_value());
}

TEST(DnsAnswer, SkipsOtherClassesAndTypesWhateverTheyHold) {
  for (const RawRecord& record :
       {RawRecord{"www.example.com", kTypeA, 1, Bytes(3), {}, 3}, RawRecord{"www.example.com", 16, 1, Bytes(4), {}},
        RawRecord{"www.example.com", kTypeA, 1, {192, 0, 2, 1}, {}, 3}}) {
    const Result<DnsAnswer> answer = answer_with(record);
    ASSERT_TRUE(answer.has_value());
    EXPECT_TRUE(answer->addresses.empty());
  }
}

TEST(DnsAnswer, RefusesABrokenRecordAlsoBehindGoodOnes) {
  const RawRecord broken{"other.example", kTypeA, 1, Bytes(3), {}};
  EXPECT_NE(why_answer_fails(AnswerBuilder("a.example").a("a.example", 1, "192.0.2.1").record(broken).build()), "");
}

TEST(DnsAnswer, RefusesACnameWhoseTargetLeavesItsData) {
  const auto with_target = [](const Bytes& data) { return answer_with({"www.example.com", kTypeCname, 1, data, {}}); };
  EXPECT_TRUE(with_target({1, 'a', 0}).has_value());
  EXPECT_TRUE(with_target({1, 'a', 0xc0, 12}).has_value());
  EXPECT_TRUE(with_target({1, 'a', 0, 7, 7}).has_value());
  for (const Bytes& data : {Bytes{}, Bytes{1, 'a'}, Bytes{2, 'a'}, Bytes{1, 'a', 0xc0}, Bytes{0x41, 'a', 0}}) {
    const Bytes padded = AnswerBuilder("www.example.com")
                             .record({"www.example.com", kTypeCname, 1, data, {}})
                             .a("www.example.com", 1, "0.0.0.0")  // zeros that a walk past the data would meet
                             .build();
    EXPECT_NE(why_answer_fails(padded), "") << data.size();
  }
}

TEST(DnsAnswer, ReadsAtMost256Records) {
  constexpr std::uint16_t kTypeTxt = 16;
  AnswerBuilder builder("a.example");
  for (unsigned i = 1; i < kMaxAnswerRecords; ++i) builder.record({".", kTypeTxt, 1, {}, {}});
  const Result<DnsAnswer> answer = parse_answer(builder.a("a.example", 1, "192.0.2.1").build());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->addresses.size(), 1u);
  EXPECT_EQ(why_answer_fails(builder.a("a.example", 1, "192.0.2.1").build()), "more than 256 answer records");
}

TEST(DnsAnswer, ReadsAtMost4096Bytes) {
  Bytes message = AnswerBuilder("a.example").build();
  message.resize(kMaxAnswerLength);
  EXPECT_EQ(why_answer_fails(message), "");
  message.push_back(0);
  EXPECT_EQ(why_answer_fails(message), "longer than 4096 bytes");
}

TEST(WireName, ExpandsPointersOnlyBackwards) {
  const Bytes message = {1, 'a', 0, 1, 'b', 0xc0, 0, 0xc0, 7, 0xc0, 11, 0};
  const Result<WireName> name = read_compressed_name(message, 3, message.size());
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->text, "b.a");
  EXPECT_EQ(name->end, 7u);
  EXPECT_FALSE(read_compressed_name(message, 7, message.size()).has_value()) << "points at itself";
  EXPECT_FALSE(read_compressed_name(message, 9, message.size()).has_value()) << "points forwards";
}

TEST(WireName, FollowsAtMost16Pointers) {
  Bytes message = {1, 'a', 0};
  std::uint8_t previous = 0;
  for (int i = 0; i < 17; ++i) {
    const auto at = static_cast<std::uint8_t>(message.size());
    message.insert(message.end(), {0xc0, previous});
    previous = at;
  }
  EXPECT_TRUE(read_compressed_name(message, 3 + 15 * 2, message.size()).has_value());
  EXPECT_FALSE(read_compressed_name(message, 3 + 16 * 2, message.size()).has_value());
}

TEST(WireName, ExpandsToAtMost255Bytes) {
  EXPECT_TRUE(read_compressed_name(name_of_lengths({63, 63, 63, 61}), 0, 999).has_value());
  EXPECT_FALSE(read_compressed_name(name_of_lengths({63, 63, 63, 62}), 0, 999).has_value());
}

TEST(WireName, EscapesDotsAndBackslashesInsideLabels) {
  const Result<WireName> name = read_compressed_name(Bytes{3, 'a', '.', '\\', 1, 'b', 0}, 0, 999);
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->text, "a\\.\\\\.b");
}

}  // namespace
}  // namespace namewall
