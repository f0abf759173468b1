#include "policy/blocked_networks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "policy/special_use.h"
#include "tests/support/dns_builder.h"

namespace namewall {
namespace {

using namewall::testing::address_of;
using ::testing::HasSubstr;

bool is_blocked(const std::string& network, const Address& address) {
  const auto blocked = parse_blocked_network(network);
  EXPECT_TRUE(blocked) << network;
  return blocked && std::any_of(blocked->prefixes.begin(), blocked->prefixes.end(),
                                [&](const Prefix& prefix) { return prefix.contains(address); });
}

bool is_blocked(const std::string& network, const std::string& address) {
  return is_blocked(network, address_of(address));
}

TEST(BlockedNetworks, PrivateIsWhatTheInternetDoesNotReach) {
  for (const char* address :
       {"0.0.0.0",       "0.1.2.3",         "10.0.0.1",        "100.64.0.1",        "100.127.255.255",
        "127.0.0.1",     "169.254.169.254", "172.16.0.1",      "172.31.255.255",    "192.0.0.1",
        "192.0.0.8",     "192.0.0.11",      "192.0.0.255",     "192.0.2.1",         "192.88.99.1",
        "192.168.0.1",   "198.18.0.1",      "198.19.255.255",  "198.51.100.1",      "203.0.113.1",
        "224.0.0.1",     "239.255.255.255", "240.0.0.1",       "255.255.255.255",   "::",
        "::1",           "::10.0.0.1",      "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b:1::1",  "100::1",          "2001::1",         "2001:2::1",         "2001:db8::1",
        "2002:a00:1::1", "2002:7f00:1::",   "3fff::1",         "5f00::1",           "fc00::1",
        "fd12::1",       "fe80::1",         "fec0::1",         "ff02::1",           "ff0e::1"}) {
    EXPECT_TRUE(is_blocked("private", address)) << address;
  }
  for (const char* address :
       {"1.1.1.1",         "8.8.8.8",        "9.255.255.255",  "11.0.0.0",        "100.63.255.255", "100.128.0.1",
        "126.255.255.255", "128.0.0.1",      "172.15.255.255", "172.32.0.1",      "192.0.0.9",      "192.0.0.10",
        "192.0.1.1",       "198.17.255.255", "198.20.0.1",     "223.255.255.255", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1",
        "2002:101:101::1", "2600::beef",     "2a00::1",        "2001:200::1"}) {
    EXPECT_FALSE(is_blocked("private", address)) << address;
  }
}

// Whatever an answer may not teach is blocked, but for the two anycast addresses.
TEST(BlockedNetworks, PrivateHasAllThatIsSpecial) {
  const auto blocked = parse_blocked_network("private");
  std::mt19937 random(6);
  for (int i = 0; i < 200'000; ++i) {
    std::array<std::uint8_t, 16> bytes;
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random() % 3 == 0 ? 0 : random());
    if (i % 4 == 1) std::copy_n(address_of("64:ff9b::").bytes().begin(), 12, bytes.begin());
    if (i % 4 == 2) bytes[0] = 0x20, bytes[1] = 0x02;
    if (i % 4 == 3) std::copy_n(address_of("::ffff:0:0").bytes().begin(), 12, bytes.begin());
    const Address address = Address::v6(bytes);
    if (classify_address(address, false) == SpecialUse::kPublic) continue;
    EXPECT_TRUE(std::any_of(blocked->prefixes.begin(), blocked->prefixes.end(), [&](const Prefix& prefix) {
      return prefix.contains(address);
    })) << address.to_string();
  }
  EXPECT_LT(blocked->prefixes.size(), 200u) << "each is a node of every policy";
}

TEST(BlockedNetworks, AnIpv4NetworkIsItsOtherFormsToo) {
  for (const char* address : {"10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1", "::10.1.2.3"}) {
    EXPECT_TRUE(is_blocked("10.0.0.0/8", address)) << address;
    EXPECT_TRUE(is_blocked("0.0.0.0/0", address)) << address;
    EXPECT_FALSE(is_blocked("11.0.0.0/8", address)) << address;
    EXPECT_FALSE(is_blocked("2600::/16", address)) << address;
  }
  EXPECT_TRUE(is_blocked("::ffff:10.0.0.0/104", "10.1.2.3"));
  EXPECT_TRUE(is_blocked("2001:db8::/32", "2001:db8::1"));
  EXPECT_FALSE(is_blocked("2001:db8::/32", "2001:db9::1"));
  EXPECT_FALSE(is_blocked("::/0", "192.0.2.1")) << "families are apart";
}

TEST(BlockedNetworks, SaysWhatIsWrong) {
  const auto message = [](const char* text) { return parse_blocked_network(text).error().what; };
  EXPECT_EQ(message("10.0.0.1"), "`10.0.0.1` is an address; the network of it alone is `10.0.0.1/32`");
  EXPECT_EQ(message("::1"), "`::1` is an address; the network of it alone is `::1/128`");
  for (const char* bad : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/-1", "::/129"}) {
    EXPECT_THAT(message(bad), HasSubstr("has no prefix length")) << bad;
  }
  for (const char* bad : {"", "Private", "public", "10.0.0/8", "010.0.0.0/8", "example.com", "[::1]/128", "*"}) {
    EXPECT_THAT(message(bad), HasSubstr("is no network; accepted: \"private\"")) << bad;
  }
  EXPECT_EQ(parse_blocked_network("10.1.2.3/8")->note,
            "`10.1.2.3/8` has bits behind the prefix; the network is `10.0.0.0/8`");
  EXPECT_EQ(parse_blocked_network("10.0.0.0/8")->note, "");
}

}  // namespace
}  // namespace namewall
