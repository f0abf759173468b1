#include "agent/proxy/sender_tokens.h"

#include <gtest/gtest.h>

#include <string>

namespace namewall::agent {
namespace {

SocketEndpoint at(const std::string& address, std::uint16_t port) {
  return SocketEndpoint({*parse_address(address), Port{port}});
}

TEST(SenderTokens, LeadBackToTheSender) {
  SenderTokens tokens;
  for (const std::string address : {"127.0.0.1", "255.254.253.252", "::1", "2001:db8::53"}) {
    for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{53}, std::uint16_t{65535}}) {
      const std::uint64_t token = tokens.token_of(at(address, port));
      EXPECT_EQ(token, tokens.token_of(at(address, port)));
      ASSERT_TRUE(tokens.sender_of(token));
      EXPECT_EQ(tokens.sender_of(token)->where(), at(address, port).where());
    }
  }
}

TEST(SenderTokens, OfForgottenSendersLeadToNobodyElse) {
  SenderTokens tokens;
  const std::uint64_t first = tokens.token_of(at("2001:db8:ffff::1", 53));
  for (std::size_t i = 1; i < SenderTokens::kMaxSenders; ++i) {
    std::array<std::uint8_t, 16> bytes{0x20, 0x01, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    (void)tokens.token_of(SocketEndpoint({Address::v6(bytes), Port{53}}));
  }
  ASSERT_TRUE(tokens.sender_of(first));
  const std::uint64_t newest = tokens.token_of(at("2001:db8:ffff::2", 53));
  EXPECT_FALSE(tokens.sender_of(first));
  EXPECT_TRUE(tokens.sender_of(newest));
  const std::uint64_t again = tokens.token_of(at("2001:db8:ffff::1", 53));
  EXPECT_NE(again, first);
  EXPECT_EQ(tokens.sender_of(again)->where(), at("2001:db8:ffff::1", 53).where());
  EXPECT_FALSE(tokens.sender_of(again + (1ull << 16))) << "a token that was never given";
}

}  // namespace
}  // namespace namewall::agent
