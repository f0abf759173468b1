#include "nft/element.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include "tests/unit/nft/message_dump.h"

namespace namewall::nft {
namespace {

constexpr std::uint64_t kCgroup = 0x0102030405060708;
const Address k4 = *parse_address("192.0.2.7");
const Address k6 = *parse_address("2001:db8::7");

TEST(NftElement, AKeyHasTheCgroupInHostOrderAndTheRestInNetworkOrderPaddedTo32Bits) {
  EXPECT_EQ(to_hex(encode(EndpointKey{kCgroup, k4, IPPROTO_TCP, 443})),
            "0807060504030201"
            "c0000207"
            "06000000"
            "01bb0000");
  EXPECT_EQ(to_hex(encode(EndpointKey{kCgroup, k6, IPPROTO_UDP, 53})),
            "0807060504030201"
            "20010db8000000000000000000000007"
            "11000000"
            "00350000");
}

TEST(NftElement, EveryKindOfKeyHasTheSizeOfItsSet) {
  EXPECT_EQ(encode_cgroup(1).size(), key_size(shape_of(SetId::kEnforced)));
  EXPECT_EQ(encode_address(1, k4, 6).size(), key_size(shape_of(SetId::kWide1_4)));
  EXPECT_EQ(encode_address(1, k6, 6).size(), key_size(shape_of(SetId::kWide4_6)));
  EXPECT_EQ(encode_port(1, 6, 80).size(), key_size(shape_of(SetId::kListen)));
  EXPECT_EQ(encode_own_pair(1, 1).size(), key_size(shape_of(SetId::kOwnPairs)));
  EXPECT_EQ(encode_place(k4, 17, 53).size(), key_size(shape_of(SetId::kPlaces4)));
  EXPECT_EQ(encode_place(k6, 17, 53).size(), key_size(shape_of(SetId::kPlaces6)));
}

TEST(NftElement, AKeyIsReadBackAsItWasWritten) {
  for (const auto& key : {EndpointKey{kCgroup, k4, IPPROTO_TCP, 443}, EndpointKey{7, k6, IPPROTO_UDP, 65535}}) {
    EXPECT_EQ(decode_endpoint(encode(key)), key);
  }
  EXPECT_EQ(decode_endpoint(encode_cgroup(1)), std::nullopt);
  const auto pair = decode_key(SetId::kOwnPairs, encode_own_pair(0x20000, kCgroup));
  ASSERT_TRUE(pair);
  EXPECT_EQ(pair->mark, 0x20000u);
  EXPECT_EQ(pair->cgroup_id, kCgroup);
  EXPECT_EQ(decode_cgroup(SetId::kEnforced, encode_cgroup(kCgroup)), kCgroup);
  EXPECT_EQ(decode_cgroup(SetId::kEnforced, encode_own_pair(1, 1)), std::nullopt);
}

TEST(NftElement, IcmpEchoIsAPortOfItsFamily) {
  EXPECT_EQ(endpoint_key(1, k4, Protocol::kIcmp, Port{0}), (EndpointKey{1, k4, IPPROTO_ICMP, kEchoRequest4}));
  EXPECT_EQ(endpoint_key(1, k6, Protocol::kIcmp, Port{0}), (EndpointKey{1, k6, IPPROTO_ICMPV6, kEchoRequest6}));
  EXPECT_EQ(endpoint_key(1, k4, Protocol::kUdp, Port{53}), (EndpointKey{1, k4, IPPROTO_UDP, 53}));
}

TEST(NftElement, MarksAreInHostOrderAndPortsInNetworkOrderInMaps) {
  EXPECT_EQ(to_hex(encode_mark(0x00010000)), "00000100");
  EXPECT_EQ(to_hex(encode_port_data(5300)), "14b4");
}

TEST(NftElement, AGrantsCommentSaysNameAndRule) {
  const GrantComment plain{"registry.npmjs.org", 0, "registry.npmjs.org:443"};
  EXPECT_EQ(to_comment(plain), "registry.npmjs.org by registry.npmjs.org:443");
  const GrantComment shared{"a.example", 2, "*.example tcp/443"};
  EXPECT_EQ(to_comment(shared), "a.example +2 by *.example tcp/443");
  EXPECT_EQ(to_comment(GrantComment{"a.example", 0, ""}), "a.example");
  for (const auto& comment : {plain, shared, GrantComment{"a.example", 3, ""}}) {
    const auto read = parse_grant_comment(to_comment(comment));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->name, comment.name);
    EXPECT_EQ(read->others, comment.others);
    EXPECT_EQ(read->rule, comment.rule);
  }
}

TEST(NftElement, ACommentOfSomebodyElseIsNoGrants) {
  for (const char* text : {"", " +2", "two words", "a.example +x by r", "a.example 2 by r"}) {
    EXPECT_FALSE(parse_grant_comment(text)) << text;
  }
}

TEST(NftElement, ALongCommentLosesItsRuleFirst) {
  const std::string name(200, 'n');
  const auto cut_rule = to_comment(GrantComment{name, 1, std::string(100, 'r')});
  EXPECT_EQ(cut_rule.size(), kMaxComment);
  EXPECT_TRUE(cut_rule.starts_with(name + " +1 by rrr"));
  EXPECT_TRUE(cut_rule.ends_with("r..."));

  const std::string longest(kMaxComment, 'n');
  EXPECT_EQ(to_comment(GrantComment{longest, 0, "r"}), longest);
  const auto cut_name = to_comment(GrantComment{longest, 12, "r"});
  EXPECT_EQ(cut_name.size(), kMaxComment);
  EXPECT_TRUE(cut_name.ends_with("n... +12"));
}

TEST(NftElement, ACommentIsNotCutWithinACharacter) {
  const auto text =
      to_comment(GrantComment{"a.example", 0,
                              "x" + std::string(190, 'y') +
                                  "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4"
                                  "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4"});
  ASSERT_TRUE(text.ends_with("..."));
  EXPECT_EQ(text[text.size() - 4], '\xa4');
}

TEST(NftElement, ACommentHasNothingThatNftCouldNotPrint) {
  EXPECT_EQ(to_comment(GrantComment{"a\nb", 0, "say \"x\""}), "a?b by say ?x?");
}

TEST(NftElement, AWorkloadsTagIsReadBack) {
  const WorkloadTag tag{12, 3, 0x00f1e2d3c4b5a697, false, "/ci.slice/job"};
  EXPECT_EQ(to_comment(tag), "workload 12.3 policy 00f1e2d3c4b5a697 /ci.slice/job");
  for (const auto& each : {tag, WorkloadTag{1, 0, ~0ULL, true, "/odd \"%\n/x"}}) {
    const auto read = parse_workload_tag(to_comment(each));
    ASSERT_TRUE(read) << to_comment(each);
    EXPECT_EQ(read->workload_id, each.workload_id);
    EXPECT_EQ(read->generation, each.generation);
    EXPECT_EQ(read->image_hash, each.image_hash);
    EXPECT_EQ(read->is_template, each.is_template);
    EXPECT_EQ(read->cgroup, each.cgroup);
  }
  EXPECT_EQ(to_comment(WorkloadTag{1, 1, 0, true, "/a\"%"}), "template 1.1 policy 0000000000000000 /a%22%25");
}

TEST(NftElement, ATooLongPathIsCutAndStillReads) {
  for (std::size_t lead = 0; lead < 3; ++lead) {
    const auto text = to_comment(WorkloadTag{1, 1, 1, false, "/" + std::string(lead, 'a') + std::string(300, '"')});
    EXPECT_LE(text.size(), kMaxComment);
    const auto read = parse_workload_tag(text);
    ASSERT_TRUE(read) << text;
    EXPECT_TRUE(read->cgroup.ends_with("\"..."));
  }
}

TEST(NftElement, WhatIsNoTagIsNotRead) {
  for (const char* text : {"", "workload 1 policy 1 /", "workload 1.1 policy x /", "else 1.1 policy 1 /",
                           "workload 1.1 policy 1 /%4", "workload 1.1 policy 1 /%zz", "workload 1.1 policy 1"}) {
    EXPECT_FALSE(parse_workload_tag(text)) << text;
  }
}

}  // namespace
}  // namespace namewall::nft
