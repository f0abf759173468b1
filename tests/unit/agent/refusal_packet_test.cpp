#include "agent/refusal_packet.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace namewall::agent {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes bytes_of(std::string_view text) { return Bytes(text.begin(), text.end()); }

Bytes be16(std::size_t value) { return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)}; }

// RFC 1071 written the other way round than the code under test: 16-bit words, end-around carry at each step.
std::uint16_t ones_complement_sum(const Bytes& data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); i += 2) {
    sum += static_cast<std::uint32_t>(data[i] << 8 | (i + 1 < data.size() ? data[i + 1] : 0));
    if (sum > 0xffff) sum -= 0xffff;
  }
  return static_cast<std::uint16_t>(sum);
}

const Bytes kName = Bytes{6} + bytes_of("GitHub") + Bytes{3} + bytes_of("com") + Bytes{0};
const Bytes kQuestion = kName + Bytes{0, 28, 0, 1};
const Bytes kOpt = {0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0};  // 1232 bytes, DO

Bytes dns(Bytes flags = {0x01, 0x00}, const Bytes& additional = {}) {
  return Bytes{0xbe, 0xef} + flags + Bytes{0, 1, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(additional.empty() ? 0 : 1)} +
         kQuestion + additional;
}

Bytes udp(const Bytes& payload, std::size_t length_error = 0) {
  return be16(40000) + be16(53) + be16(8 + payload.size() + length_error) + Bytes{0x12, 0x34} + payload;
}

Bytes ipv4(const Bytes& payload, std::uint8_t protocol = 17) {
  return Bytes{0x45, 0} + be16(20 + payload.size()) + Bytes{0x77, 0x77, 0x40, 0, 64, protocol, 0, 0} +
         Bytes{127, 0, 0, 1, 127, 0, 0, 53} + payload;
}

Bytes ipv6(const Bytes& payload) {
  return Bytes{0x60, 0, 0, 0} + be16(payload.size()) + Bytes{17, 64} +
         Bytes{0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2} +
         Bytes{0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1} + payload;
}

Bytes slice(const Bytes& data, std::size_t from, std::size_t to) {
  return Bytes(data.begin() + static_cast<std::ptrdiff_t>(from), data.begin() + static_cast<std::ptrdiff_t>(to));
}
Bytes from(const Bytes& data, std::size_t at) { return slice(data, at, data.size()); }

Bytes answer_to(const Bytes& packet, RefuseWith refuse_with = RefuseWith::kNxdomain, std::string_view text = "no") {
  const auto answer = build_refusal_answer(packet, refuse_with, text);
  EXPECT_TRUE(answer.has_value());
  return answer.value_or(Bytes(100));
}

TEST(RefusalPacket, AnswersOverIpv4FromTheWireDestinationToTheSource) {
  const Bytes answer = answer_to(ipv4(udp(dns())));
  ASSERT_EQ(answer.size(), 20 + 8 + dns().size());
  EXPECT_EQ(slice(answer, 0, 10), (Bytes{0x45, 0, 0, static_cast<std::uint8_t>(answer.size()), 0, 0, 0x40, 0, 64, 17}));
  EXPECT_EQ(slice(answer, 12, 20), (Bytes{127, 0, 0, 53, 127, 0, 0, 1}));
  EXPECT_EQ(slice(answer, 20, 26), be16(53) + be16(40000) + be16(8 + dns().size()));
  EXPECT_EQ(from(answer, 28), (Bytes{0xbe, 0xef, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0} + kQuestion));
}

TEST(RefusalPacket, AnswersOverIpv6FromTheWireDestinationToTheSource) {
  const Bytes question = ipv6(udp(dns()));
  const Bytes answer = answer_to(question);
  ASSERT_EQ(answer.size(), 40 + 8 + dns().size());
  EXPECT_EQ(slice(answer, 0, 8), (Bytes{0x60, 0, 0, 0} + be16(8 + dns().size()) + Bytes{17, 64}));
  EXPECT_EQ(slice(answer, 8, 24), slice(question, 24, 40));
  EXPECT_EQ(slice(answer, 24, 40), slice(question, 8, 24));
  EXPECT_EQ(slice(answer, 40, 46), be16(53) + be16(40000) + be16(8 + dns().size()));
  EXPECT_EQ(from(answer, 48), (Bytes{0xbe, 0xef, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0} + kQuestion));
}

TEST(RefusalPacket, ChecksumsOfHeaderAndDatagramAreRight) {
  for (const std::string text : {"", "n", "no"}) {  // even and odd lengths
    const Bytes v4 = answer_to(ipv4(udp(dns({1, 0}, kOpt))), RefuseWith::kNxdomain, text);
    EXPECT_EQ(ones_complement_sum(slice(v4, 0, 20)), 0xffff);
    EXPECT_EQ(ones_complement_sum(slice(v4, 12, 20) + Bytes{0, 17} + be16(v4.size() - 20) + from(v4, 20)), 0xffff);
    const Bytes v6 = answer_to(ipv6(udp(dns({1, 0}, kOpt))), RefuseWith::kNxdomain, text);
    EXPECT_EQ(
        ones_complement_sum(slice(v6, 8, 40) + Bytes{0, 0} + be16(v6.size() - 40) + Bytes{0, 0, 0, 17} + from(v6, 40)),
        0xffff);
  }
}

TEST(RefusalPacket, ChecksumOfTheQuestionIsNotLookedAt) {
  Bytes packet = ipv4(udp(dns()));
  packet[26] ^= 0xff;
  EXPECT_TRUE(build_refusal_answer(packet, RefuseWith::kNxdomain, "").has_value());
}

TEST(RefusalPacket, CopiesRecursionDesiredAndCheckingDisabledAndNothingElse) {
  EXPECT_EQ(slice(answer_to(ipv4(udp(dns({0x00, 0x00})))), 30, 32), (Bytes{0x80, 0x83}));
  EXPECT_EQ(slice(answer_to(ipv4(udp(dns({0x01, 0x10})))), 30, 32), (Bytes{0x81, 0x93}));
  EXPECT_EQ(slice(answer_to(ipv4(udp(dns({0x01, 0x20})))), 30, 32), (Bytes{0x81, 0x83}));  // AD of a question
}

TEST(RefusalPacket, RcodeAndExtendedErrorFollowTheWayOfRefusing) {
  struct Case {
    RefuseWith refuse_with;
    std::uint8_t rcode;
    std::uint8_t extended_error;
  };
  for (const Case& c :
       {Case{RefuseWith::kNxdomain, 3, 15}, Case{RefuseWith::kRefused, 5, 18}, Case{RefuseWith::kNodata, 0, 17}}) {
    const Bytes answer = answer_to(ipv4(udp(dns({1, 0}, kOpt))), c.refuse_with, "no");
    EXPECT_EQ(answer[31], 0x80 | c.rcode);
    EXPECT_EQ(slice(answer, 32, 40), (Bytes{0, 1, 0, 0, 0, 0, 0, 1}));
    EXPECT_EQ(from(answer, 28 + 12 + kQuestion.size()),
              (Bytes{0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 8, 0, 15, 0, 4, 0, c.extended_error, 'n', 'o'}));
  }
}

TEST(RefusalPacket, DnssecOkIsCopiedNotInvented) {
  Bytes opt = kOpt;
  opt[7] = 0;
  const Bytes answer = answer_to(ipv4(udp(dns({1, 0}, opt))));
  EXPECT_EQ(answer[28 + 12 + kQuestion.size() + 7], 0);
}

TEST(RefusalPacket, WithoutOptInTheQuestionThereIsNoneInTheAnswer) {
  EXPECT_EQ(answer_to(ipv4(udp(dns()))).size(), 28 + 12 + kQuestion.size());
}

TEST(RefusalPacket, LongTextIsCutToKeepTheMessageWithin512Bytes) {
  const Bytes answer = answer_to(ipv4(udp(dns({1, 0}, kOpt))), RefuseWith::kNxdomain, std::string(2000, 'x'));
  EXPECT_EQ(answer.size(), 28u + 512u);
  std::string accents;
  for (int i = 0; i < 1000; ++i) accents += "\xc3\xa9";
  const Bytes shorter = answer_to(ipv4(udp(dns({1, 0}, kOpt))), RefuseWith::kNxdomain, accents);
  EXPECT_LE(shorter.size(), 28u + 512u);
  EXPECT_EQ(shorter.back(), 0xa9);  // no half character
}

TEST(RefusalPacket, EveryTruncationOfAPacketIsRefused) {
  for (const Bytes& whole : {ipv4(udp(dns({1, 0}, kOpt))), ipv6(udp(dns({1, 0}, kOpt)))}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      EXPECT_FALSE(build_refusal_answer(slice(whole, 0, length), RefuseWith::kNxdomain, "no").has_value()) << length;
    }
  }
}

TEST(RefusalPacket, WhatIsNotOneQuestionOverUdpIsRefused) {
  const Bytes good = ipv4(udp(dns()));
  const auto refused = [](const Bytes& packet) {
    return !build_refusal_answer(packet, RefuseWith::kNxdomain, "no").has_value();
  };
  const auto with = [&](std::size_t at, std::uint8_t value) {
    Bytes packet = good;
    packet[at] = value;
    return packet;
  };
  EXPECT_FALSE(refused(good));
  EXPECT_TRUE(refused(with(0, 0x46))) << "IP options";
  EXPECT_TRUE(refused(with(0, 0x55))) << "IP version 5";
  EXPECT_TRUE(refused(with(9, 6))) << "TCP";
  EXPECT_TRUE(refused(with(6, 0x20))) << "more fragments";
  EXPECT_TRUE(refused(with(7, 0x01))) << "fragment offset";
  EXPECT_TRUE(refused(with(3, 19))) << "total length below the header";
  EXPECT_TRUE(refused(ipv4(udp(dns(), 1)))) << "UDP length above the packet";
  EXPECT_TRUE(refused(ipv4(udp(dns()) + Bytes{0}))) << "bytes behind the datagram";
  EXPECT_TRUE(refused(with(30, 0x81))) << "a response";
  EXPECT_TRUE(refused(with(33, 2))) << "two questions";
  EXPECT_TRUE(refused(with(33, 0))) << "no question";
  EXPECT_TRUE(refused(ipv4(udp(dns() + Bytes{1, 2, 3})))) << "bytes behind the question";
  EXPECT_TRUE(refused(with(40, 0xc0))) << "a compressed name";
  EXPECT_TRUE(refused(with(40, 63))) << "a label past the end";
  EXPECT_TRUE(refused({0x60}));
}

}  // namespace
}  // namespace namewall::agent
