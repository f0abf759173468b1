#include "policy/port_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace namewall {
namespace {

PortRange tcp(std::uint16_t first, std::uint16_t last) { return {Protocol::kTcp, {first}, {last}}; }
PortRange udp(std::uint16_t first, std::uint16_t last) { return {Protocol::kUdp, {first}, {last}}; }
const PortRange kEcho{Protocol::kIcmp, {0}, {0}};

TEST(PortSet, MergesOverlappingAndAdjacentRangesOfOneProtocol) {
  EXPECT_EQ(PortSet({tcp(443, 443), tcp(80, 90), tcp(85, 100), tcp(101, 110)}).to_string(), "tcp/80-110,443");
  EXPECT_EQ(PortSet({tcp(1, 65535), tcp(2, 3), tcp(65535, 65535)}).to_string(), "tcp/1-65535");
  EXPECT_EQ(PortSet({tcp(80, 80), udp(81, 81)}).ranges().size(), 2U);
}

TEST(PortSet, ContainsBothEndsAndNoOtherProtocol) {
  const PortSet ports({tcp(22, 25)});
  EXPECT_TRUE(ports.contains(Protocol::kTcp, {22}));
  EXPECT_TRUE(ports.contains(Protocol::kTcp, {25}));
  EXPECT_FALSE(ports.contains(Protocol::kTcp, {21}));
  EXPECT_FALSE(ports.contains(Protocol::kTcp, {26}));
  EXPECT_FALSE(ports.contains(Protocol::kUdp, {22}));
  EXPECT_FALSE(PortSet().contains(Protocol::kTcp, {22}));
}

TEST(PortSet, AllHasEveryPortAndEcho) {
  const PortSet all = PortSet::all();
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
    EXPECT_TRUE(all.contains(protocol, {0}));
    EXPECT_TRUE(all.contains(protocol, {65535}));
  }
  EXPECT_TRUE(all.contains(Protocol::kIcmp, {0}));
  EXPECT_EQ(all.to_string(), "tcp+udp/* icmp");
}

TEST(PortSet, MinusSplitsRanges) {
  const PortSet ports({tcp(10, 20), udp(10, 20)});
  EXPECT_EQ(ports.minus(PortSet({tcp(12, 13), tcp(20, 30)})).to_string(), "tcp/10-11,14-19 udp/10-20");
  EXPECT_TRUE(ports.minus(PortSet::all()).empty());
  EXPECT_EQ(PortSet({tcp(0, 65535)}).minus(PortSet({tcp(0, 0), tcp(65535, 65535)})).to_string(), "tcp/1-65534");
}

TEST(PortSet, IntersectionIsWhatBothHave) {
  const PortSet a({tcp(10, 20), udp(53, 53), kEcho});
  const PortSet b({tcp(15, 30), tcp(10, 10), kEcho});
  EXPECT_EQ(a.intersected(b).to_string(), "tcp/10,15-20 icmp");
  EXPECT_EQ(a.intersected(PortSet::all()), a);
  EXPECT_TRUE(a.intersected(PortSet()).empty());
}

TEST(PortSet, UnionIsWhatEitherHas) {
  EXPECT_EQ(PortSet({tcp(22, 22)}).united(PortSet({tcp(23, 23), udp(1, 1)})), PortSet({udp(1, 1), tcp(22, 23)}));
}

TEST(PortSet, PrintsProtocolsWithTheSamePortsTogether) {
  EXPECT_EQ(PortSet({tcp(22, 22), tcp(443, 443), udp(123, 123)}).to_string(), "tcp/22,443 udp/123");
  EXPECT_EQ(PortSet({tcp(53, 53), udp(53, 53)}).to_string(), "tcp+udp/53");
  EXPECT_EQ(PortSet({kEcho}).to_string(), "icmp");
  EXPECT_EQ(PortSet().to_string(), "");
}

constexpr std::array<Protocol, 1> kTcpOnly = {Protocol::kTcp};
constexpr std::array<Protocol, 2> kBoth = {Protocol::kTcp, Protocol::kUdp};

std::string read(std::string_view list) {
  const auto ports = parse_ports(list, kTcpOnly);
  return ports ? ports->to_string() : "error: " + ports.error().what;
}

TEST(PortSet, ReadsNumbersRangesAndLists) {
  EXPECT_EQ(read("443"), "tcp/443");
  EXPECT_EQ(read("65535"), "tcp/65535");
  EXPECT_EQ(read("8000-8080"), "tcp/8000-8080");
  EXPECT_EQ(read("22-22,443,1000-2000"), "tcp/22,443,1000-2000");
  EXPECT_EQ(read("*"), "tcp/*");
  EXPECT_EQ(parse_ports("53,100-101", kBoth)->to_string(), "tcp+udp/53,100-101");
}

TEST(PortSet, RefusesWhatIsNoPortAndSaysWhatIsAccepted) {
  using ::testing::HasSubstr;
  for (const char* list :
       {"http", "4a", "-443", "443-", "443,", ",443", "", "4 4", "+1", "1--2", "443,*", "*-5", "1e3"}) {
    EXPECT_THAT(read(list), HasSubstr("is not a port; write a number from 1 to 65535")) << list;
  }
  for (const char* list : {"0", "0-10", "10,0"}) EXPECT_THAT(read(list), HasSubstr("ports begin at 1")) << list;
  for (const char* list : {"65536", "99999999999999999999", "1-65536"}) {
    EXPECT_THAT(read(list), HasSubstr("beyond the last port")) << list;
  }
  EXPECT_THAT(read("0443"), HasSubstr("begins with a zero"));
  EXPECT_THAT(read("443-80"), HasSubstr("`443-80` is empty"));
}

TEST(PortSet, ListsOneProtocolAsItReadsIt) {
  const PortSet ports({tcp(22, 22), tcp(80, 90), udp(0, 65535)});
  EXPECT_EQ(ports.list_of(Protocol::kTcp), "22,80-90");
  EXPECT_EQ(ports.list_of(Protocol::kUdp), "*");
  EXPECT_EQ(ports.list_of(Protocol::kIcmp), "");
}

}  // namespace
}  // namespace namewall
