// What nft(8) shows of the table, and what listing.h reads back of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>  // before the kernel's own, which then leaves out what both declare

#include <linux/netfilter.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "tests/kernel/support/nft_sets_test.h"
#include "tests/kernel/support/throwaway_cgroup.h"

namespace namewall::kernel_tests {
namespace {

using namespace nft;
using namespace std::chrono_literals;
using testing::Contains;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint8_t kTcp = 6, kUdp = 17, kIcmpv6 = 58;

class NftListing : public NftSetsTest {
 protected:
  std::uint64_t cgroup_id() const {
    struct stat status {};
    EXPECT_EQ(fstat(cgroup_.fd(), &status), 0);
    return status.st_ino;
  }
  std::string cgroup_name() const { return cgroup_.path().substr(cgroup_.path().rfind('/') + 1); }
  EndpointKey endpoint(const char* address, std::uint8_t protocol, std::uint16_t port) const {
    return {cgroup_id(), *parse_address(address), protocol, port};
  }
  static std::string set_as_nft_has_it(const std::string& name, const char* kind = "set") {
    return nft_output("list " + std::string(kind) + " inet namewall " + name);
  }

  ThrowawayCgroup cgroup_;
};

TEST_F(NftListing, NftShowsALearnedElementAsAPersonReadsIt) {
  add({{.set = SetId::kLearned4,
        .key = encode(endpoint("192.0.2.7", kTcp, 443)),
        .timeout = 1h,
        .comment = to_comment(GrantComment{"registry.npmjs.org", 2, "*.npmjs.org:443"})},
       {.set = SetId::kLearned6,
        .key = encode(endpoint_key(cgroup_id(), *parse_address("2001:db8::7"), Protocol::kIcmp, Port{0})),
        .timeout = 90s,
        .comment = "v6.example by v6.example"}});
  EXPECT_THAT(set_as_nft_has_it("learned4"),
              ContainsRegex("type cgroupsv2 . ipv4_addr . inet_proto . inet_service\n"
                            "\t\tflags timeout\n\t\tgc-interval 30s\n"
                            "\t\telements = . \"[^\"]*" +
                            cgroup_name() +
                            "\" . 192.0.2.7 . tcp . 443 timeout 1h expires 59m59s[0-9]*ms comment "
                            "\"registry.npmjs.org .2 by ..npmjs.org:443\" "));
  EXPECT_THAT(set_as_nft_has_it("learned6"),
              ContainsRegex(cgroup_name() + "\" . 2001:db8::7 . ipv6-icmp . 32768 timeout 1m30s expires 1m29s[0-9]*ms "
                                            "comment \"v6.example by v6.example\""));
}

TEST_F(NftListing, NftShowsIntervalsAsRanges) {
  add({{.set = SetId::kFixed4,
        .key = encode(endpoint("10.0.0.0", kTcp, 8000)),
        .key_end = encode(endpoint("10.0.0.9", kTcp, 8999))},
       {.set = SetId::kFixed6,
        .key = encode(endpoint("2001:db8::", kUdp, 53)),
        .key_end = encode(endpoint("2001:db8::ffff:ffff:ffff:ffff", kUdp, 53))},
       {.set = SetId::kListen,
        .key = encode_port(cgroup_id(), kTcp, 80),
        .key_end = encode_port(cgroup_id(), kTcp, 90)}});
  // nft 1.0.6 turns the bytes of the cgroup's number around here, and so does not find its path.
  EXPECT_THAT(set_as_nft_has_it("fixed4"), HasSubstr(" . 10.0.0.0-10.0.0.9 . tcp . 8000-8999 "));
  EXPECT_THAT(set_as_nft_has_it("fixed6"), HasSubstr(" . 2001:db8::/64 . udp . 53 "));
  EXPECT_THAT(set_as_nft_has_it("listen"), HasSubstr(" . tcp . 80-90 "));
}

TEST_F(NftListing, NftShowsMapsCountersAndWhoIsEnforced) {
  add({{.set = SetId::kEnforced,
        .key = encode_cgroup(cgroup_id()),
        .comment = to_comment(WorkloadTag{12, 3, 0xabc, false, "/ci.slice/job"})},
       {.set = SetId::kTokens, .key = encode_cgroup(cgroup_id()), .data = encode_mark(0x10000)},
       {.set = SetId::kPlaces4,
        .key = encode_place(*parse_address("127.0.0.53"), kUdp, 53),
        .data = encode_port_data(5300)},
       {.set = SetId::kOwnPairs, .key = encode_own_pair(0x20000, cgroup_id())},
       {.set = SetId::kRefused, .key = encode_cgroup(cgroup_id())},
       {.set = SetId::kReported, .key = encode_cgroup(cgroup_id())}});
  EXPECT_THAT(set_as_nft_has_it("enforced"),
              HasSubstr(cgroup_name() + "\" comment \"workload 12.3 policy 0000000000000abc /ci.slice/job\""));
  EXPECT_THAT(set_as_nft_has_it("tokens", "map"), HasSubstr(cgroup_name() + "\" : 0x00010000 "));
  EXPECT_THAT(set_as_nft_has_it("places4", "map"), HasSubstr("{ 127.0.0.53 . udp . 53 : 5300 }"));
  EXPECT_THAT(set_as_nft_has_it("own_pairs"), ContainsRegex("0x00020000 . \"[^\"]*" + cgroup_name() + "\""));
  EXPECT_THAT(set_as_nft_has_it("refused"), HasSubstr(cgroup_name() + "\" counter packets 0 bytes 0 "));
  EXPECT_THAT(set_as_nft_has_it("reported"), HasSubstr("limit rate 50/second burst 100 packets"));
}

TEST_F(NftListing, NftReadsTheWholeTable) {
  const auto text = nft_output("-a list table inet namewall");
  for (const auto& shape : all_sets()) {
    EXPECT_THAT(text, HasSubstr(std::string(shape.data.empty() ? "set " : "map ") + std::string(shape.name) + " { "));
  }
}

TEST_F(NftListing, CommentsOfEveryLengthAreKeptBesideTheLongestKeys) {
  std::vector<Element> elements;
  for (std::size_t size = 0; size <= kMaxComment; ++size) {
    const auto port = static_cast<std::uint16_t>(size + 1);
    elements.push_back({.set = SetId::kFixed6,
                        .key = encode(endpoint("2001:db8::1", kTcp, port)),
                        .key_end = encode(endpoint("2001:db8::9", kTcp, port)),
                        .comment = std::string(size, 'c')});
  }
  add(elements);
  EXPECT_THAT(list(SetId::kFixed6), testing::UnorderedElementsAreArray(elements));
}

TEST_F(NftListing, WhatWasAddedIsReadBack) {
  const Element interval{.set = SetId::kFixed6,
                         .key = encode(endpoint("2001:db8::1", kIcmpv6, kEchoRequest6)),
                         .key_end = encode(endpoint("2001:db8::9", kIcmpv6, kEchoRequest6)),
                         .comment = "2001:db8::1-2001:db8::9 icmp"};
  const Element token{.set = SetId::kTokens, .key = encode_cgroup(7), .data = encode_mark(0x70000)};
  const Element place{.set = SetId::kPlaces6,
                      .key = encode_place(*parse_address("2001:db8::53"), kTcp, 53),
                      .data = encode_port_data(5301),
                      .comment = std::string(kMaxComment, 'c')};
  add({interval, token, place, numbered_grant(1), {.set = SetId::kRefused, .key = encode_cgroup(7)}});
  EXPECT_THAT(list(SetId::kFixed6), ElementsAre(interval));
  EXPECT_THAT(list(SetId::kTokens), ElementsAre(token));
  EXPECT_THAT(list(SetId::kPlaces6), ElementsAre(place));
  EXPECT_THAT(list(SetId::kRefused), ElementsAre(Element{.set = SetId::kRefused, .key = encode_cgroup(7)}));
  const auto learned = list(SetId::kLearned4);
  ASSERT_EQ(learned.size(), 1u);
  EXPECT_EQ(learned[0].key, numbered_grant(1).key);
  EXPECT_EQ(learned[0].timeout, 1h);
  EXPECT_GT(*learned[0].expires, 59min);
  EXPECT_LE(*learned[0].expires, 1h);
  EXPECT_EQ(learned[0].comment, numbered_grant(1).comment);
}

TEST_F(NftListing, KnownElementsAreReadInTheirOrderWithoutThoseThatAreGone) {
  constexpr std::uint32_t kCount = 20'000;  // enough for threads
  add(numbered_grants(0, kCount));
  std::vector<Element> removed;
  std::vector<Bytes> expected;
  const auto is_removed = [](std::uint32_t i) {
    return i == 0 || (i >= 700 && i < 740) || i % 97 == 5 || i == kCount - 1;
  };
  for (std::uint32_t i = 0; i < kCount; ++i) {
    if (is_removed(i)) {
      removed.push_back(numbered_grant(i));
    } else {
      expected.push_back(numbered_grant(i).key);
    }
  }
  Batch batch;
  batch.delete_elements(removed);
  commit(batch);
  std::vector<Bytes> found;
  ASSERT_TRUE(read_elements(socket_, numbered_grants(0, kCount),
                            [&](const Element& element) { found.push_back(element.key); }));
  EXPECT_EQ(found, expected);
  const auto states = read_states(numbered_grants(0, kCount));
  ASSERT_TRUE(states) << states.error().message();
  ASSERT_EQ(states->size(), kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    ASSERT_EQ((*states)[i].is_present, !is_removed(i)) << i;
    if ((*states)[i].is_present) {
      EXPECT_GT((*states)[i].expires, 59min);
    }
  }
  ASSERT_TRUE(read_elements(socket_, removed, [](const Element&) { ADD_FAILURE() << "it was removed"; }));
  ASSERT_TRUE(read_elements(socket_, {}, [](const Element&) { ADD_FAILURE(); }));
}

TEST_F(NftListing, IntervalsAreReadByBothKeys) {
  const Element range{.set = SetId::kListen, .key = encode_port(1, kTcp, 80), .key_end = encode_port(1, kTcp, 90)};
  add({range});
  std::vector<Element> found;
  ASSERT_TRUE(read_elements(socket_, {&range, 1}, [&](const Element& element) { found.push_back(element); }));
  EXPECT_THAT(found, ElementsAre(range));
}

TEST_F(NftListing, ASetIsCountedWhereTheKernelTells) {
  add(numbered_grants(0, 10));
  const auto count = count_elements(socket_, SetId::kLearned4);
  ASSERT_TRUE(count) << count.error().message();
  if (!*count) GTEST_SKIP() << "this kernel does not count";
  EXPECT_EQ(**count, 10u);
}

TEST_F(NftListing, WhatDoesNotExistIsNotFound) {
  const auto none = [](const Element&) { ADD_FAILURE(); };
  const auto element = numbered_grant(1);
  EXPECT_EQ(list_elements(socket_, SetId::kLearned4, none, "other").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(read_states({&element, 1}, "other").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(read_elements(socket_, {&element, 1}, none, "other").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(count_elements(socket_, SetId::kLearned4, "other").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(read_table(socket_, "other").value(), std::nullopt);
}

TEST_F(NftListing, ChainsSetsAndRulesAreThoseOfTheTable) {
  nft_output(
      "'add table inet other; add chain inet other foreign; add set inet other s { type mark; }; "
      "add rule inet other foreign drop'");
  Batch batch;
  batch.add_base_chain("output", "filter", NF_INET_LOCAL_OUT, -150);
  batch.add_chain("refuse");
  commit(batch);
  nft_output("'add rule inet namewall output accept; add rule inet namewall refuse counter drop'");
  EXPECT_THAT(list_chain_names(socket_).value(), ElementsAre("output", "refuse"));
  const auto sets = list_set_names(socket_).value();
  EXPECT_EQ(sets.size(), all_sets().size());
  EXPECT_THAT(sets, Contains("learned6"));
  const auto rules = list_rules(socket_).value();
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[0].chain, "output");
  EXPECT_EQ(rules[1].chain, "refuse");
  EXPECT_NE(rules[0].handle, rules[1].handle);
  EXPECT_NE(rules[0].expressions, rules[1].expressions);
  EXPECT_EQ(list_rules(socket_).value(), rules);
}

// A reader next to somebody who commits all the time: it ends, tells nothing that never was, and misses nothing that
// stayed where it asks by key.
TEST_F(NftListing, OthersCommitsNeitherStopNorConfuseIt) {
  constexpr std::uint32_t kStay = 5000, kCome = 1000;
  add(numbered_grants(0, kStay));
  std::set<Bytes> known;
  for (std::uint32_t i = 0; i < kStay + kCome; ++i) known.insert(numbered_grant(i).key);
  std::atomic<bool> ends = false;
  std::atomic<int> commits = 0;
  std::thread changer([&] {
    auto socket = NftSocket::open().value();
    for (std::uint32_t i = 0; !ends; ++i) {
      const auto element = numbered_grant(kStay + i % kCome);
      Batch batch;
      if (i / kCome % 2 == 0) {
        batch.add_elements({&element, 1});
      } else {
        batch.delete_elements({&element, 1});
      }
      EXPECT_TRUE(socket.commit(batch)->is_committed());
      ++commits;
    }
  });
  const auto staying = numbered_grants(0, kStay);
  for (int i = 0; i < 5; ++i) {
    std::size_t stayed = 0;
    EXPECT_TRUE(read_elements(socket_, staying, [&](const Element&) { ++stayed; }));
    EXPECT_EQ(stayed, kStay);
    std::size_t listed = 0;
    EXPECT_TRUE(list_elements(socket_, SetId::kLearned4, [&](const Element& element) {
      ++listed;
      EXPECT_TRUE(known.contains(element.key));
    }));
    EXPECT_GE(listed, kStay * 9 / 10);
  }
  ends = true;
  changer.join();
  EXPECT_GT(commits, 100);
}

}  // namespace
}  // namespace namewall::kernel_tests
