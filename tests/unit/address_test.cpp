#include "policy/address.h"

#include <gtest/gtest.h>

namespace namewall {
namespace {

Address address(std::string_view text) { return parse_address(text).value(); }

Prefix prefix(std::string_view base, std::uint8_t length) {
  const Address parsed = address(base);
  return {parsed, length, parsed.is_v4()};
}

TEST(Address, PrintsWhatItRead) {
  for (const char* text : {"192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "::1", "fe80::1:2"}) {
    EXPECT_EQ(address(text).to_string(), text);
  }
  EXPECT_EQ(address("2001:DB8:0:0:0:0:0:1").to_string(), "2001:db8::1");
}

TEST(Address, KeepsIpv4AsItsMappedForm) {
  const Address mapped = address("::ffff:192.0.2.1");
  EXPECT_EQ(mapped, address("192.0.2.1"));
  EXPECT_TRUE(mapped.is_v4());
  EXPECT_EQ(mapped.to_string(), "192.0.2.1");
  EXPECT_EQ(mapped.v4_bytes(), (std::array<std::uint8_t, 4>{192, 0, 2, 1}));
  EXPECT_EQ(mapped, Address::v4({192, 0, 2, 1}));
  EXPECT_FALSE(address("::c000:201").is_v4());
}

TEST(Address, RefusesEverythingButTheStrictForms) {
  for (const char* text :
       {"",           "1",          "127.1",         "127.0.1",           "0177.0.0.1",   "0x7f.0.0.1",
        "0x7f000001", "2130706433", "127.0.0.01",    "127.0.0.256",       "1.2.3.4.",     "1.2.3.4.5",
        " 1.2.3.4",   "1.2.3.4 ",   "1.2.3.-4",      "+1.2.3.4",          "[::1]",        "::1%lo",
        "1::2::3",    "::12345",    "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::ffff:127.1", "10.0.0.0/8",
        "example.com"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
  EXPECT_FALSE(parse_address(std::string_view("1.2.3.4\0x", 9)));
}

TEST(Prefix, ClearsHostBits) {
  EXPECT_EQ(prefix("10.20.30.40", 8).to_string(), "10.0.0.0/8");
  EXPECT_EQ(prefix("10.20.30.255", 30).to_string(), "10.20.30.252/30");
  EXPECT_EQ(prefix("10.20.30.40", 0).to_string(), "0.0.0.0/0");
  EXPECT_EQ(prefix("2001:db8:ffff::1", 33).to_string(), "2001:db8:8000::/33");
  EXPECT_EQ(prefix("2001:db8::1", 0).to_string(), "::/0");
}

TEST(Prefix, PrintsASingleAddressWithoutALength) {
  EXPECT_EQ(Prefix::of(address("192.0.2.1")).to_string(), "192.0.2.1");
  EXPECT_EQ(Prefix::of(address("2001:db8::1")).to_string(), "2001:db8::1");
  EXPECT_TRUE(Prefix::of(address("192.0.2.1")).is_single());
  EXPECT_FALSE(prefix("192.0.2.0", 31).is_single());
}

TEST(Prefix, ContainsItsAddressesAndNoOthers) {
  EXPECT_TRUE(prefix("10.0.0.0", 9).contains(address("10.127.255.255")));
  EXPECT_FALSE(prefix("10.0.0.0", 9).contains(address("10.128.0.0")));
  EXPECT_TRUE(prefix("0.0.0.0", 0).contains(address("255.255.255.255")));
  EXPECT_TRUE(prefix("2001:db8::", 32).contains(address("2001:db8:ffff::1")));
  EXPECT_FALSE(prefix("2001:db8::", 32).contains(address("2001:db9::")));
}

TEST(Prefix, KeepsTheFamiliesApart) {
  EXPECT_FALSE(prefix("::", 0).contains(address("10.0.0.1")));
  EXPECT_FALSE(prefix("::", 16).contains(address("10.0.0.1")));
  EXPECT_FALSE(prefix("0.0.0.0", 0).contains(address("2001:db8::1")));
  EXPECT_FALSE(prefix("::", 0).contains(prefix("10.0.0.0", 8)));
}

TEST(Prefix, ContainsNarrowerPrefixesOnly) {
  EXPECT_TRUE(prefix("10.0.0.0", 8).contains(prefix("10.20.0.0", 16)));
  EXPECT_TRUE(prefix("10.0.0.0", 8).contains(prefix("10.0.0.0", 8)));
  EXPECT_FALSE(prefix("10.20.0.0", 16).contains(prefix("10.0.0.0", 8)));
  EXPECT_FALSE(prefix("10.0.0.0", 8).contains(prefix("11.0.0.0", 16)));
}

}  // namespace
}  // namespace namewall
