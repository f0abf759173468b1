#include "policy/dns_reply.h"

#include <gtest/gtest.h>

#include "policy/dns_message.h"
#include "policy/wire_bytes.h"
#include "tests/support/dns_builder.h"

namespace namewall {
namespace {

using namewall::testing::Bytes;
using namewall::testing::name_of;
using namewall::testing::wire_name;

// id beef; RD and CD; the name with capitals; A; an OPT of 1,400 bytes with DO and a cookie.
Bytes question(std::uint16_t flags, bool with_opt, std::string_view name = "wWw.Evil.example") {
  Bytes message = {0xbe, 0xef};
  append_u16(message, flags);
  for (const unsigned count : {1u, 0u, 0u, with_opt ? 1u : 0u}) append_u16(message, count);
  const Bytes wire = wire_name(name);
  message.insert(message.end(), wire.begin(), wire.end());
  append_u16(message, kTypeA);
  append_u16(message, 1);
  const Bytes opt = {0, 0, 41, 5, 0x78, 0, 0, 0x80, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
  if (with_opt) message.insert(message.end(), opt.begin(), opt.end());
  return message;
}

std::size_t question_end(const Bytes& message) { return message.size() - 23; }

std::string error_text(const Bytes& reply, std::size_t opt) {
  return {reply.begin() + static_cast<std::ptrdiff_t>(opt + 17), reply.end()};
}

TEST(DnsReply, KeepsIdSpellingRdCdAndDoAndSaysWhy) {
  const Bytes asked = question(0x0110, true);
  const std::size_t opt = question_end(asked);
  const Bytes reply = *build_reply(asked, refusal_reply(RefuseWith::kNxdomain, "b: no rule names it"));
  EXPECT_EQ(Bytes(reply.begin(), reply.begin() + 12), (Bytes{0xbe, 0xef, 0x81, 0x93, 0, 1, 0, 0, 0, 0, 0, 1}));
  const auto end = static_cast<std::ptrdiff_t>(opt);
  EXPECT_EQ(Bytes(reply.begin() + 12, reply.begin() + end), Bytes(asked.begin() + 12, asked.begin() + end));
  // Root, OPT, 1,232 bytes, no extended RCODE, DO; then option 15 with INFO-CODE 15.
  EXPECT_EQ(Bytes(reply.begin() + end, reply.begin() + end + 17),
            (Bytes{0, 0, 41, 4, 0xd0, 0, 0, 0x80, 0, 0, 25, 0, 15, 0, 21, 0, 15}));
  EXPECT_EQ(error_text(reply, opt), "b: no rule names it");
}

TEST(DnsReply, EachKindHasItsCodes) {
  const Bytes asked = question(0x0100, true);
  const auto codes = [&](const OwnReply& reply) {
    const Bytes message = *build_reply(asked, reply);
    return std::to_string(message[3] & 15) + "/" + std::to_string(read_u16(message, question_end(asked) + 15));
  };
  EXPECT_EQ(codes(refusal_reply(RefuseWith::kNxdomain, "")), "3/15");
  EXPECT_EQ(codes(refusal_reply(RefuseWith::kRefused, "")), "5/18");
  EXPECT_EQ(codes(refusal_reply(RefuseWith::kNodata, "")), "0/17");
  EXPECT_EQ(codes(bound_reply("")), "5/18");
  EXPECT_EQ(codes(not_ready_reply("")), "2/14");
  EXPECT_EQ(codes(no_answer_reply("")), "2/23");
}

TEST(DnsReply, WithoutAnOptThereIsNoError) {
  Bytes asked = question(0x0000, false);
  const Bytes reply = *build_reply(asked, refusal_reply(RefuseWith::kRefused, "why"));
  asked[2] = 0x80, asked[3] = 0x85;  // no RD where the question had none
  EXPECT_EQ(reply, asked);
}

TEST(DnsReply, ATruncatedReplyHasTcAndAnEmptyOpt) {
  const Bytes asked = question(0x0100, true);
  const Bytes reply = *build_reply(asked, truncated_reply());
  EXPECT_EQ(read_u16(reply, 2), 0x8380);
  EXPECT_EQ(reply.size(), question_end(asked) + 11);
  EXPECT_EQ(read_u16(reply, reply.size() - 2), 0);
}

TEST(DnsReply, TheTextGivesWayAtWholeCharacters) {
  const std::string longest =
      std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(59, 'd');
  std::string text;
  for (int i = 0; i < 300; ++i) text += "\xc3\xa9";
  for (const std::string& name : {std::string("a.example"), std::string("ab.example"), longest}) {
    const Bytes reply = *build_reply(question(0x0100, true, name), bound_reply(text));
    EXPECT_LE(reply.size(), 512u);
    EXPECT_GE(reply.size(), 511u);
    EXPECT_EQ(reply.back(), 0xa9);
  }
}

TEST(DnsReply, OnlyAnswersWholeQuestions) {
  const Bytes asked = question(0x0100, true);
  for (std::size_t length = 0; length < asked.size(); ++length) {
    EXPECT_FALSE(build_reply({asked.data(), length}, bound_reply("")).has_value()) << length;
  }
  EXPECT_FALSE(build_reply(question(0x8100, true), bound_reply("")).has_value());
}

TEST(DnsReply, WhatDoesNotParseGetsAHeaderAndAResponseGetsNothing) {
  EXPECT_EQ(*build_format_error(question(0x0110, true)), (Bytes{0xbe, 0xef, 0x81, 0x91, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(*build_format_error(question(0x2800, true)), (Bytes{0xbe, 0xef, 0xa8, 0x84, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(build_format_error(question(0x8000, true)), std::nullopt);
  EXPECT_EQ(build_format_error(Bytes(11)), std::nullopt);
}

}  // namespace
}  // namespace namewall
