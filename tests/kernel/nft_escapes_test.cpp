// The ways around of escape_actions.h against the nft backend alone, judged by the same sniffer: each is closed where
// it is closed with BPF, unless docs/backends.md says otherwise (kOtherwise).
#include <map>

#include "tests/kernel/escape_actions.h"
#include "tests/kernel/support/nft_side.h"
#include "tests/kernel/support/sniffer.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

// Id of an action, and whether it leaks with nft.
const std::map<std::string, bool> kOtherwise = {};

class NftEscapes : public NetworkTest {
 protected:
  void SetUp() override {
    NetworkTest::SetUp();
    ASSERT_TRUE(nft_.is_open());
    auto policy = make_policy({"example.com", "*://192.0.2.1:443", "*://[2001:db8::1]:443", "icmp://192.0.2.1"});
    policy.loopback = Loopback::kOwn;
    ASSERT_EQ(nft_.hold(cgroup_, compile(policy)), "");
  }

  bool leaks(const std::function<void()>& act) {
    sniffer_.take();
    in_cgroup(cgroup_, act);
    bool leak = false;
    for (const auto& packet : sniffer_.take()) {
      const auto to = destination_of(packet);
      leak |= to == ip(kEvil4) || to == ip(kEvil6) || contains_text(packet, kSecret);
    }
    return leak;
  }
  void expect(const std::vector<EscapeAction>& actions) {
    for (const auto& action : actions) {
      const auto found = kOtherwise.find(action.id);
      const bool expected = found == kOtherwise.end() ? action.leaks : found->second;
      EXPECT_EQ(leaks(action.act), expected) << action.id << (expected ? " is listed as open" : " got out");
    }
  }

  ThrowawayCgroup cgroup_;
  NftSide nft_;
  Sniffer sniffer_{network_};
};

TEST_F(NftEscapes, SnifferSeesWhatIsAllowedAndWhatComesFromOutside) {
  EXPECT_TRUE(leaks([] {
    enter_outer_cgroup();
    udp_send_to(ip(kEvil4), 443);
  })) << "else every test here passes for nothing";
  EXPECT_EQ(in_cgroup(cgroup_, [] { return tcp_connect(ip(kAllowed4), 443); }), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return tcp_connect(ip(kAllowed6), 443); }), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_connect_and_send(ip(kAllowed6), 443); }), 0);
}

TEST_F(NftEscapes, SocketCallsReachNothingForbidden) { expect(socket_escapes()); }
TEST_F(NftEscapes, HeadersAndRawPacketsReachNothingForbiddenButWhatIsListed) { expect(packet_escapes()); }
// Without a proxy's place nothing goes to a resolver at all.
TEST_F(NftEscapes, QuestionsCarryNoOtherName) { expect(question_escapes()); }

TEST_F(NftEscapes, MostActionsWouldLeakWithoutTheTable) {
  nft_.let_go(cgroup_);
  std::size_t actions = 0, leaking = 0;
  for (const auto& table : {socket_escapes(), packet_escapes(), question_escapes()}) {
    for (const auto& action : table) ++actions, leaking += leaks(action.act);
  }
  EXPECT_GE(leaking * 10, actions * 7) << leaking << " of " << actions;
}

TEST_F(NftEscapes, SocketKeepsItsCgroupWhenItsProcessLeaves) {
  EXPECT_FALSE(leaks([] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    enter_outer_cgroup();
    const SocketAddress to(ip(kEvil4), 443);
    sendto(client.get(), "x", 1, 0, to.get(), to.length);
    connect(client.get(), to.get(), to.length);
    send(client.get(), "x", 1, 0);
  }));
}

}  // namespace
}  // namespace namewall::kernel_tests
