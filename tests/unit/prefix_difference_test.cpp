#include "policy/prefix_difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/endpoint_host.h"

namespace namewall {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Prefix prefix(const std::string& text) { return std::get<Prefix>(*parse_host(text, text)); }

std::vector<std::string> left_of(const std::string& whole, const std::vector<std::string>& holes) {
  std::vector<Prefix> parsed;
  for (const std::string& hole : holes) parsed.push_back(prefix(hole));
  std::vector<std::string> out;
  for (const Prefix& left : subtract_prefixes(prefix(whole), parsed)) out.push_back(to_string(Host(left)));
  return out;
}

TEST(PrefixDifference, LeavesEveryOtherAddress) {
  EXPECT_THAT(left_of("10.0.0.0/8", {"10.128.0.0/9"}), ElementsAre("10.0.0.0/9"));
  EXPECT_THAT(left_of("10.0.0.0/8", {"10.96.0.0/12"}),
              ElementsAre("10.0.0.0/10", "10.64.0.0/11", "10.112.0.0/12", "10.128.0.0/9"));
  EXPECT_THAT(left_of("192.0.2.0/30", {"192.0.2.1"}), ElementsAre("192.0.2.0", "192.0.2.2/31"));
  EXPECT_THAT(left_of("192.0.2.0/30", {"192.0.2.1", "192.0.2.0"}), ElementsAre("192.0.2.2/31"));
  EXPECT_THAT(left_of("[2001:db8::]/32", {"[2001:db8:8000::]/33"}), ElementsAre("[2001:db8::]/33"));
}

TEST(PrefixDifference, LeavesNothingOfWhatAHoleCovers) {
  EXPECT_THAT(left_of("10.0.0.0/8", {"10.0.0.0/8"}), IsEmpty());
  EXPECT_THAT(left_of("10.1.0.0/16", {"10.0.0.0/8"}), IsEmpty());
  EXPECT_THAT(left_of("10.0.0.0/8", {"10.0.0.0/9", "10.128.0.0/9"}), IsEmpty());
}

TEST(PrefixDifference, LeavesAWholeWithoutHolesInIt) {
  EXPECT_THAT(left_of("10.0.0.0/8", {}), ElementsAre("10.0.0.0/8"));
  EXPECT_THAT(left_of("10.0.0.0/8", {"11.0.0.0/8", "[::]/0"}), ElementsAre("10.0.0.0/8"));
  EXPECT_THAT(left_of("[::]/0", {"0.0.0.0/0"}), ElementsAre("[::]/0"));
}

TEST(PrefixDifference, AgreesWithEachAddressOfASmallNetwork) {
  const Prefix whole = prefix("192.0.2.0/24");
  const std::vector<Prefix> holes = {prefix("192.0.2.16/28"), prefix("192.0.2.20/30"), prefix("192.0.2.255")};
  const std::vector<Prefix> left = subtract_prefixes(whole, holes);
  for (unsigned last = 0; last < 256; ++last) {
    const Address address = Address::v4({192, 0, 2, static_cast<std::uint8_t>(last)});
    const auto has = [&](const std::vector<Prefix>& list) {
      return std::count_if(list.begin(), list.end(), [&](const Prefix& one) { return one.contains(address); });
    };
    EXPECT_EQ(has(left), has(holes) > 0 ? 0 : 1) << last;
  }
}

}  // namespace
}  // namespace namewall
