#include "policy/special_use.h"

#include <gtest/gtest.h>

#include <string>

namespace namewall {
namespace {

SpecialUse classify(const std::string& text, bool from_aaaa) {
  const std::optional<Address> address = parse_address(text);
  EXPECT_TRUE(address.has_value()) << text;
  return classify_address(address.value_or(Address()), from_aaaa);
}

void expect_use(SpecialUse use, const std::vector<std::string>& addresses) {
  for (const std::string& text : addresses) {
    EXPECT_EQ(classify(text, text.find(':') != std::string::npos), use) << text;
  }
}

TEST(SpecialUse, PrivateBlocksArePrivateToTheirLastAddressAndNoFurther) {
  expect_use(SpecialUse::kPrivate,
             {"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255",
              "100.64.0.0", "100.127.255.255", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"});
  expect_use(SpecialUse::kPublic, {"9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255",
                                   "192.169.0.0", "100.63.255.255", "100.128.0.0"});
}

TEST(SpecialUse, Ipv4AddressesThatNoNameMayHaveAreNever) {
  expect_use(SpecialUse::kForbidden,
             {"0.0.0.0", "0.255.255.255", "127.0.0.0", "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254",
              "169.254.255.255", "192.0.0.0", "192.0.0.255", "192.88.99.0", "192.88.99.255", "198.18.0.0",
              "198.19.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255"});
  expect_use(SpecialUse::kPublic,
             {"1.0.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "192.0.1.0", "192.88.98.255",
              "192.88.100.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "191.255.255.255"});
}

TEST(SpecialUse, DocumentationPrefixesArePublic) {
  expect_use(SpecialUse::kPublic,
             {"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "2001:db8:ffff::1", "3fff::1", "3fff:fff::1"});
}

TEST(SpecialUse, Ipv6OutsideGlobalUnicastIsNever) {
  expect_use(SpecialUse::kForbidden, {"::",      "::1",     "::2",         "::192.0.2.1",  "::ffff:0:192.0.2.1",
                                      "fe80::1", "febf::1", "fec0::1",     "feff::1",      "ff00::",
                                      "ff02::1", "100::",   "100::1",      "64:ff9b:1::1", "64:ff9b::1:0:0",
                                      "5f00::1", "4000::",  "1fff:ffff::", "fe00::1",      "fbff::1"});
  expect_use(SpecialUse::kPublic, {"2000::1", "2606:4700::1111", "3ffe::1", "2003::1", "2400::1"});
}

TEST(SpecialUse, ProtocolAssignmentsBelow2001AreNever) {
  expect_use(SpecialUse::kForbidden,
             {"2001:1::1", "2001:2::1", "2001:3::1", "2001:10::1", "2001:20::1", "2001:1ff::1"});
  expect_use(SpecialUse::kPublic, {"2001:200::1", "2001:4860:4860::8888"});
}

TEST(SpecialUse, AaaaRecordsMayNotCarrySpecialIpv4InMappedForm) {
  EXPECT_EQ(classify("::ffff:10.0.0.1", true), SpecialUse::kForbidden);
  EXPECT_EQ(classify("::ffff:127.0.0.1", true), SpecialUse::kForbidden);
  EXPECT_EQ(classify("::ffff:192.0.2.1", true), SpecialUse::kPublic);
  EXPECT_EQ(classify("::ffff:10.0.0.1", false), SpecialUse::kPrivate);
}

TEST(SpecialUse, Nat64FormsAreAsTheirIpv4AddressButNeverPrivate) {
  expect_use(SpecialUse::kForbidden, {"64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::127.0.0.1"});
  expect_use(SpecialUse::kPublic, {"64:ff9b::192.0.2.1", "64:ff9b::8.8.8.8"});
}

TEST(SpecialUse, SixToFourFormsOfSpecialAddressesAreNever) {
  expect_use(SpecialUse::kForbidden, {"2002:a00:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::1"});
  expect_use(SpecialUse::kPublic, {"2002:c000:201::1", "2002:808:808::"});
}

TEST(SpecialUse, TeredoIsNeverWhenItsServerOrItsInvertedClientIsSpecial) {
  // 192.0.2.1 inverted is 3fff:fdfe, 10.0.0.1 inverted is f5ff:fffe.
  expect_use(SpecialUse::kPublic, {"2001:0:808:808:0:0:3fff:fdfe"});
  expect_use(SpecialUse::kForbidden, {"2001:0:808:808:0:0:f5ff:fffe", "2001:0:a00:1:0:0:3fff:fdfe", "2001::1"});
  // The client uninverted would be 192.168.1.1: only the inverted form, 63.87.254.254, counts.
  expect_use(SpecialUse::kPublic, {"2001:0:808:808:0:0:c0a8:101"});
}

TEST(SpecialUse, EmbeddedAddressesAreFoundInEveryTransitionForm) {
  const auto embedded = [](const std::string& text) {
    std::vector<std::string> found;
    for (const Address& address : embedded_ipv4(*parse_address(text))) found.push_back(address.to_string());
    return found;
  };
  EXPECT_EQ(embedded("64:ff9b::192.0.2.7"), std::vector<std::string>{"192.0.2.7"});
  EXPECT_EQ(embedded("2002:c000:207::1"), std::vector<std::string>{"192.0.2.7"});
  EXPECT_EQ(embedded("2001:0:808:808:0:0:3fff:fdfe"), (std::vector<std::string>{"8.8.8.8", "192.0.2.1"}));
  EXPECT_TRUE(embedded("2001:db8::1").empty());
  EXPECT_TRUE(embedded("192.0.2.1").empty());
}

}  // namespace
}  // namespace namewall
