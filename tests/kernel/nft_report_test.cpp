// What nftables tell of refusals, and audit mode.
#include <netinet/in.h>

#include "tests/kernel/support/nft_log.h"
#include "tests/kernel/support/nft_test.h"

namespace namewall::kernel_tests {
namespace {

using nft::LogPrefix;
using nft::SetId;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class NftReport : public NftTest {
 protected:
  nft::RulesetPlan plan() const override {
    const auto depth = place_of(cgroup_).depth;
    return {.depths = {depth}, .parent_depths = {depth}, .redirects_dns = false, .log_group = 7781};
  }
  std::vector<LogPrefix> prefixes(std::uint32_t mark) {
    std::vector<LogPrefix> found;
    for (const auto& entry : log_->take()) {
      EXPECT_EQ(entry.mark, mark) << entry.prefix;
      const auto prefix = nft::parse_prefix(entry.prefix);
      if (!prefix)
        ADD_FAILURE() << entry.prefix;
      else
        found.push_back(*prefix);
    }
    return found;
  }
  void SetUp() override {
    NftTest::SetUp();
    log_ = std::make_unique<NftLog>(plan().log_group);
  }
  static constexpr std::uint32_t kMark = std::uint32_t{kToken} << nft::kTokenShift;
  std::unique_ptr<NftLog> log_;
};

TEST_F(NftReport, ARefusalSaysWhose) {
  EXPECT_EQ(tcp_inside("192.0.2.1"), ECONNREFUSED);
  EXPECT_THAT(prefixes(kMark), ElementsAre(LogPrefix{LogPrefix::Kind::kOut, place_.depth}));
  EXPECT_EQ(udp_inside("2001:db8::1"), EPERM);
  EXPECT_THAT(prefixes(kMark), ElementsAre(LogPrefix{LogPrefix::Kind::kOut, place_.depth}));
}

TEST_F(NftReport, WhatIsAllowedIsNotReported) {
  table_->add({learned(place_.id, "tcp 192.0.2.1:443")});
  EXPECT_EQ(tcp_inside("192.0.2.1"), 0);
  EXPECT_THAT(prefixes(kMark), IsEmpty());
  EXPECT_EQ(refused(), 0u);
}

TEST_F(NftReport, AFloodIsCountedWholeAndReportedInPart) {
  in_cgroup(cgroup_, [] {
    const SocketAddress to(ip("192.0.2.1"), 443);
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    for (int i = 0; i < 2000; ++i) sendto(client.get(), "x", 1, 0, to.get(), to.length);
  });
  EXPECT_EQ(refused(), 2000u);
  const auto reported = prefixes(kMark).size();
  EXPECT_GE(reported, std::size_t{nft::kReportBurst});
  EXPECT_LT(reported, nft::kReportBurst + 3 * nft::kReportRate);
  // A neighbour's rate is its own.
  const ThrowawayCgroup neighbour;
  enforce(place_of(neighbour).id, 2);
  EXPECT_EQ(in_cgroup(neighbour, [] { return udp_send_to(ip("192.0.2.1"), 443); }), EPERM);
  EXPECT_THAT(prefixes(2u << nft::kTokenShift), SizeIs(1));
}

TEST_F(NftReport, AnUnarmedChildIsReportedAsThat) {
  table_->add({cgroup_in(SetId::kParents, place_.id)});
  const ThrowawayCgroup child(cgroup_);
  EXPECT_EQ(in_cgroup(child, [] { return tcp_connect(ip("192.0.2.1"), 443); }), ECONNREFUSED);
  EXPECT_THAT(prefixes(kMark), ElementsAre(LogPrefix{LogPrefix::Kind::kUnknown, place_.depth + 1}));
}

TEST_F(NftReport, AuditLetsPassAndReports) {
  table_->add({cgroup_in(SetId::kAudited, place_.id)});
  const LogPrefix audit{LogPrefix::Kind::kOut, place_.depth, true};
  for (const char* address : {"192.0.2.1", "fd77::1"}) {
    EXPECT_EQ(tcp_inside(address), 0);
    EXPECT_THAT(prefixes(kMark), ElementsAre(audit)) << "the connection, not each of its packets";
    EXPECT_EQ(in_cgroup(cgroup_,
                        [&] {
                          const SocketAddress to(ip(address), 443);
                          const auto client = make_socket(to.family(), SOCK_DGRAM);
                          sendto(client.get(), "x", 1, 0, to.get(), to.length);
                          return receive(client.get(), milliseconds(500)).has_value();
                        }),
              true);
    EXPECT_THAT(prefixes(kMark), ElementsAre(audit)) << "the question, not its answer";
  }
  EXPECT_EQ(refused(), 4u);
  EXPECT_THAT(table_->list(SetId::kFlows4), IsEmpty());
}

TEST_F(NftReport, AuditGivesThePacketsMarkBack) {
  table_->add({cgroup_in(SetId::kAudited, place_.id)});
  run_command({"nft",
               "table inet after { chain out { type filter hook output priority 0; "
               "meta mark 0x0 udp dport 443 counter name marked0; meta mark 0x77 udp dport 443 counter name "
               "marked77; }; counter marked0 { }; counter marked77 { }; }"});
  EXPECT_EQ(udp_inside("192.0.2.1"), 0);
  EXPECT_THAT(prefixes(kMark), SizeIs(1));
  EXPECT_EQ(in_cgroup(cgroup_,
                      [] {
                        const SocketAddress to(ip("192.0.2.1"), 443);
                        const auto client = make_socket(AF_INET, SOCK_DGRAM);
                        const std::uint32_t mark = 0x77;
                        setsockopt(client.get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
                        return sendto(client.get(), "x", 1, 0, to.get(), to.length) == 1 ? 0 : errno;
                      }),
            0);
  EXPECT_THAT(prefixes(0x77), SizeIs(1)) << "a mark that means something to others stays";
  for (const char* counter : {"marked0", "marked77"})
    run_command({"sh", "-c", std::string("nft list counter inet after ") + counter + " | grep -q 'packets 1 '"});
}

TEST_F(NftReport, AuditLetsInAndReports) {
  table_->add({cgroup_in(SetId::kAudited, place_.id)});
  Rendezvous turn;
  WorkloadProcess server(cgroup_, [&] {
    const SocketAddress at(ip("0.0.0.0"), 8080);
    const auto listener = make_socket(AF_INET, SOCK_STREAM);
    if (bind(listener.get(), at.get(), at.length) != 0 || listen(listener.get(), 4) != 0) return std::string("listen");
    turn.arrive_and_wait();
    return std::string();
  });
  ASSERT_TRUE(turn.await_arrival());
  network_.in_far([&] { EXPECT_EQ(tcp_connect(ip("10.77.0.2"), 8080), 0); });
  turn.release();
  EXPECT_EQ(server.wait(), "");
  EXPECT_THAT(prefixes(kMark), testing::Contains(LogPrefix{LogPrefix::Kind::kIn, place_.depth, true}));
}

TEST_F(NftReport, AStrangersSocketOnLoopbackIsReportedWithTheSendersToken) {
  table_->add({cgroup_in(SetId::kLoopbackOwn, place_.id), own_pair(kToken, place_.id)});
  const SocketAddress at(ip("127.0.0.1"), 3000);
  const auto listener = make_socket(AF_INET, SOCK_STREAM);
  ASSERT_EQ(bind(listener.get(), at.get(), at.length), 0);
  ASSERT_EQ(listen(listener.get(), 4), 0);
  EXPECT_EQ(tcp_inside("127.0.0.1", 3000), ECONNREFUSED);
  EXPECT_THAT(prefixes(kMark | nft::kOwnMark), ElementsAre(LogPrefix{LogPrefix::Kind::kOwn, 0}));
}

}  // namespace
}  // namespace namewall::kernel_tests
