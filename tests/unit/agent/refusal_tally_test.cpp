#include "agent/refusal_tally.h"

#include <gtest/gtest.h>

#include "policy/policy_loader.h"
#include "tests/unit/agent/event_builder.h"

namespace namewall::agent {
namespace {

using Added = RefusalTally::Added;

TEST(RefusalTally, AddressAndIpv6AddressQuestionsForOneNameAreOneEntry) {
  RefusalTally tally;
  EXPECT_EQ(tally.add(refused_lookup("github.com", 1), false), Added::kNew);
  EXPECT_EQ(tally.add(refused_lookup("github.com", 28), false), Added::kRepeated);
  EXPECT_EQ(tally.add(refused_lookup("gitlab.com", 1), false), Added::kNew);
  ASSERT_EQ(tally.entries().size(), 2u);
  EXPECT_EQ(tally.entries()[0].count, 2u);
  EXPECT_EQ(tally.entries()[0].first.question_type, 1);
  EXPECT_EQ(tally.total(), 3u);
}

TEST(RefusalTally, BothFamiliesOfOneNameAndPortAreOneEntry) {
  RefusalTally tally;
  tally.add(refused_connect(kExample4, 22, "github.com"), false);
  EXPECT_EQ(tally.add(refused_connect(kExample6, 22, "github.com"), false), Added::kRepeated);
  EXPECT_EQ(tally.add(refused_connect(kExample4, 23, "github.com"), false), Added::kNew);
}

TEST(RefusalTally, AddressesWithoutANameAreApart) {
  RefusalTally tally;
  tally.add(refused_connect(kExample4, 443), false);
  EXPECT_EQ(tally.add(refused_connect(kExample6, 443), false), Added::kNew);
}

TEST(RefusalTally, ProtocolReasonAndAuditAreApart) {
  RefusalTally tally;
  Event event = refused_connect(kExample4, 443);
  tally.add(event, false);
  event.ip_protocol = IPPROTO_UDP;
  EXPECT_EQ(tally.add(event, false), Added::kNew);
  event.reason = NW_REASON_EXPIRED;
  EXPECT_EQ(tally.add(event, false), Added::kNew);
  event.audit = true;
  EXPECT_EQ(tally.add(event, false), Added::kNew);
}

TEST(RefusalTally, ConnectAndSendToOnePlaceAreOneEntry) {
  RefusalTally tally;
  Event event = refused_connect(kExample4, 443);
  tally.add(event, false);
  event.hook = Hook::kSend;
  EXPECT_EQ(tally.add(event, false), Added::kRepeated);
}

TEST(RefusalTally, QuicAttemptsAreCountedApart) {
  RefusalTally tally;
  tally.add(refused_connect(kExample4, 443, "example.com"), true);
  tally.add(refused_connect(kExample6, 443, "example.com"), true);
  tally.add(refused_lookup("github.com"), false);
  EXPECT_EQ(tally.quic_total(), 2u);
  EXPECT_EQ(tally.total(), 1u);
  EXPECT_EQ(tally.targets(), 1u);
}

TEST(RefusalTally, EndlessFreshNamesFillNoMemoryAndAreStillCounted) {
  RefusalTally tally;
  for (std::size_t i = 0; i < RefusalTally::kMaxEntries; ++i) {
    ASSERT_EQ(tally.add(refused_lookup("n" + std::to_string(i) + ".example"), false), Added::kNew);
  }
  EXPECT_EQ(tally.add(refused_lookup("one.more.example"), false), Added::kBeyondBound);
  EXPECT_EQ(tally.add(refused_lookup("n0.example"), false), Added::kRepeated);
  EXPECT_EQ(tally.entries().size(), RefusalTally::kMaxEntries);
  EXPECT_EQ(tally.beyond_bound(), 1u);
  EXPECT_EQ(tally.total(), RefusalTally::kMaxEntries + 2);
}

TEST(RefusalTally, KeepsNoPacketsAndAddsUpWhatWasLeftOut) {
  RefusalTally tally;
  Event event = refused_lookup("github.com");
  event.packet.assign(600, 1);
  event.left_out = 7;
  tally.add(event, false);
  tally.add(event, false);
  EXPECT_TRUE(tally.entries()[0].first.packet.empty());
  EXPECT_EQ(tally.left_out(), 14u);
}

PolicyImage image_of(const std::vector<std::string>& allow) {
  const auto policy = load_policy_arguments(allow, {});
  EXPECT_TRUE(policy.ok());
  auto image = compile_policy(policy.value, HostPolicy{}, ResolvConf{});
  EXPECT_TRUE(image.has_value());
  return image ? *image : PolicyImage{};
}

Event udp443(const std::string& name) {
  Event event = refused_connect(kExample4, 443, name);
  event.ip_protocol = IPPROTO_UDP;
  return event;
}

TEST(QuicAttempt, IsUdp443ToANameAllowedForHttps) {
  const PolicyImage image = image_of({"example.com", "tcp://ssh.example:22"});
  EXPECT_TRUE(is_quic_attempt(udp443("example.com"), image));
  EXPECT_FALSE(is_quic_attempt(udp443("ssh.example"), image));
  EXPECT_FALSE(is_quic_attempt(udp443("other.example"), image));
  Event other_port = udp443("example.com");
  other_port.port = Port{53};
  EXPECT_FALSE(is_quic_attempt(other_port, image));
  EXPECT_FALSE(is_quic_attempt(refused_connect(kExample4, 443, "example.com"), image));  // TCP
  Event expired = udp443("example.com");
  expired.reason = NW_REASON_EXPIRED;
  EXPECT_FALSE(is_quic_attempt(expired, image));
}

TEST(QuicAttempt, IsUdp443ToAnAddressAllowedForHttps) {
  const PolicyImage image = image_of({"tcp://192.0.2.0/24:443"});
  EXPECT_TRUE(is_quic_attempt(udp443(""), image));
  EXPECT_FALSE(is_quic_attempt(udp443(""), image_of({"tcp://198.51.100.0/24:443"})));
}

TEST(OwnDoing, IsNotWhatOthersSend) {
  Event event = refused_lookup("github.com");
  EXPECT_TRUE(is_own_doing(event));
  event.hook = Hook::kInbound;
  EXPECT_FALSE(is_own_doing(event));
  event.hook = Hook::kAnswer;
  EXPECT_FALSE(is_own_doing(event));
}

}  // namespace
}  // namespace namewall::agent
