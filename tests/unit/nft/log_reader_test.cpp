#include "nft/log_reader.h"

#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>

#include <cstring>
#include <string_view>

namespace namewall::nft {
namespace {

using Bytes = std::vector<std::uint8_t>;

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

// As the kernel sends them: numbers in the network's order, lengths in the host's.
class Message {
 public:
  Message() : bytes_(sizeof(nlmsghdr) + sizeof(nfgenmsg)) {}

  Message& add(std::uint16_t type, const Bytes& value) {
    const auto length = static_cast<std::uint16_t>(sizeof(nlattr) + value.size());
    const nlattr header{length, type};
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&header);
    bytes_.insert(bytes_.end(), raw, raw + sizeof header);
    append(bytes_, value);
    bytes_.resize(bytes_.size() + (4 - bytes_.size() % 4) % 4);
    return *this;
  }
  Message& prefix(std::string_view text) {
    Bytes value(text.begin(), text.end());
    value.push_back(0);
    return add(NFULA_PREFIX, value);
  }
  Bytes finish(std::uint16_t type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) {
    nlmsghdr header{};
    header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
    header.nlmsg_type = type;
    std::memcpy(bytes_.data(), &header, sizeof header);
    return bytes_;
  }

 private:
  Bytes bytes_;
};

Bytes ipv4(std::uint8_t protocol, const Bytes& transport, const Bytes& options = {}, std::uint16_t fragment = 0) {
  Bytes out{static_cast<std::uint8_t>(0x40 | (20 + options.size()) / 4), 0, 0, 0, 0, 0};
  append(out, {static_cast<std::uint8_t>(fragment >> 8), static_cast<std::uint8_t>(fragment), 64, protocol, 0, 0});
  append(out, {10, 1, 2, 3, 192, 0, 2, 9});
  append(out, options);
  append(out, transport);
  return out;
}

Bytes ipv6(std::uint8_t next, const Bytes& rest) {
  Bytes out{0x60, 0, 0, 0, 0, 0, next, 64};
  append(out, {0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2});
  append(out, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7});
  append(out, rest);
  return out;
}

Bytes tcp(std::uint8_t flags) {
  Bytes out{0xd4, 0x31, 0x01, 0xbb};  // 54321 to 443
  out.resize(20);
  out[12] = 0x50;
  out[13] = flags;
  return out;
}

const Bytes kUdp{0xd4, 0x31, 0x00, 0x35, 0, 8, 0, 0};  // 54321 to 53

std::optional<LoggedPacket> logged(const Bytes& packet) {
  return parse_logged(Message().add(NFULA_PAYLOAD, packet).finish());
}

TEST(LogReader, ReadsWhatStandsBesideThePacket) {
  const auto packet = parse_logged(Message()
                                       .prefix("namewall out 2")
                                       .add(NFULA_MARK, {0x01, 0x02, 0, 0})
                                       .add(NFULA_UID, {0, 0, 0x03, 0xe8})
                                       .add(NFULA_SEQ, {0, 0, 1, 0})
                                       .add(NFULA_PAYLOAD, ipv4(6, tcp(0x02)))
                                       .finish());
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->prefix, "namewall out 2");
  EXPECT_EQ(packet->mark, 0x01020000u);
  EXPECT_EQ(packet->uid, 1000u);
  EXPECT_EQ(packet->sequence, 256u);
}

TEST(LogReader, ReadsTcpOverIpv4) {
  const auto packet = logged(ipv4(6, tcp(0x02)));
  ASSERT_TRUE(packet);
  EXPECT_FALSE(packet->is_ipv6);
  EXPECT_EQ(packet->ip_protocol, 6);
  EXPECT_EQ(packet->source.to_string(), "10.1.2.3");
  EXPECT_EQ(packet->destination.to_string(), "192.0.2.9");
  EXPECT_EQ(packet->source_port, 54321);
  EXPECT_EQ(packet->destination_port, 443);
  EXPECT_TRUE(packet->is_tcp_start);
}

TEST(LogReader, TellsTheStartOfAConnectionFromWhatFollows) {
  EXPECT_FALSE(logged(ipv4(6, tcp(0x12)))->is_tcp_start);  // SYN and ACK
  EXPECT_FALSE(logged(ipv4(6, tcp(0x10)))->is_tcp_start);
  EXPECT_TRUE(logged(ipv4(6, tcp(0xc2)))->is_tcp_start);  // with the bits of ECN
}

TEST(LogReader, FindsThePortsBehindIpv4Options) {
  const auto packet = logged(ipv4(17, kUdp, {0x94, 4, 0, 0}));
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->destination_port, 53);
}

TEST(LogReader, SeesNoPortsInALaterFragment) {
  const auto packet = logged(ipv4(17, kUdp, {}, 0x2010));
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->destination.to_string(), "192.0.2.9");
  EXPECT_EQ(packet->destination_port, 0);
  EXPECT_EQ(logged(ipv4(17, kUdp, {}, 0x2000))->destination_port, 53);  // the first one
}

TEST(LogReader, ReadsUdpOverIpv6) {
  const auto packet = logged(ipv6(17, kUdp));
  ASSERT_TRUE(packet);
  EXPECT_TRUE(packet->is_ipv6);
  EXPECT_EQ(packet->source.to_string(), "fd77::2");
  EXPECT_EQ(packet->destination.to_string(), "2001:db8::7");
  EXPECT_EQ(packet->source_port, 54321);
  EXPECT_EQ(packet->destination_port, 53);
}

TEST(LogReader, WalksOverIpv6ExtensionHeaders) {
  Bytes rest{60, 0, 0, 0, 0, 0, 0, 0};                              // hop by hop, 8 bytes, then destination options
  append(rest, {51, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});  // 16 bytes, then authentication
  append(rest, {44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});              // (1 + 2) * 4 bytes, then a fragment header
  append(rest, {6, 0, 0, 1, 0, 0, 0, 0});                           // the first of several
  append(rest, tcp(0x02));
  const auto packet = logged(ipv6(0, rest));
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->ip_protocol, 6);
  EXPECT_EQ(packet->destination_port, 443);
  EXPECT_TRUE(packet->is_tcp_start);
}

TEST(LogReader, SeesNoPortsInALaterIpv6Fragment) {
  Bytes rest{17, 0, 0x05, 0xa8, 0, 0, 0, 0};
  append(rest, kUdp);
  const auto packet = logged(ipv6(44, rest));
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->ip_protocol, 17);
  EXPECT_EQ(packet->destination_port, 0);
}

TEST(LogReader, SaysTypeAndCodeOfIcmpAsTheSetsDo) {
  EXPECT_EQ(logged(ipv4(1, {8, 0, 0, 0}))->destination_port, 0x0800);
  EXPECT_EQ(logged(ipv6(58, {128, 0, 0, 0}))->destination_port, 0x8000);
}

TEST(LogReader, ReadsNothingBehindTheEndOfAPacket) {
  for (const Bytes& whole : {ipv4(6, tcp(0x02), {1, 1, 1, 1}), ipv6(0, {17, 0, 0, 0, 0, 0, 0, 0, 0xd4, 0x31, 0, 53})}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      const auto packet = logged(cut);
      const std::size_t header = whole[0] == 0x60 ? 40 : 20;
      EXPECT_EQ(packet.has_value(), length >= header) << length;
      if (packet && length < whole.size() - 20) {
        EXPECT_EQ(packet->destination_port, 0) << length;
      }
    }
  }
}

TEST(LogReader, TakesNoOtherMessages) {
  EXPECT_FALSE(parse_logged({}));
  EXPECT_FALSE(parse_logged(Message().finish()));
  EXPECT_FALSE(parse_logged(Message().prefix("namewall out 1").finish()));
  EXPECT_FALSE(parse_logged(Message().add(NFULA_PAYLOAD, {}).finish()));
  EXPECT_FALSE(parse_logged(Message().add(NFULA_PAYLOAD, Bytes(64, 0x11)).finish()));
  EXPECT_FALSE(parse_logged(Message().add(NFULA_PAYLOAD, ipv4(6, tcp(2))).finish(NFNL_SUBSYS_QUEUE << 8)));
}

}  // namespace
}  // namespace namewall::nft
