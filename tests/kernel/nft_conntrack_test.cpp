// Connection tracking of this kernel, in a network namespace of the test's own; the rules are nft(8)'s.
#include "nft/conntrack.h"

#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

constexpr std::uint16_t kPlace = 5300;

ResolverAddress resolver_at(const std::string& address, std::uint16_t port = 53) { return {ip(address), Port{port}}; }

class NftConntrack : public testing::Test {
 protected:
  void SetUp() override {
    auto socket = nft::open_conntrack_socket_here();
    ASSERT_TRUE(socket) << socket.error().message();
    socket_ = std::move(*socket);
  }
  void track() {
    run_command({"nft",
                 "add table inet tracked; add chain inet tracked out { type filter hook output priority 0; }; add rule "
                 "inet tracked out ct state new counter"});
  }
  void redirect() {
    run_command(
        {"nft",
         "add table inet redirected; add chain inet redirected out { type nat hook output priority -100; }; add "
         "rule inet redirected out meta l4proto { tcp, udp } th dport 53 redirect to :" +
             std::to_string(kPlace)});
  }
  std::size_t forget(const std::vector<ResolverAddress>& resolvers, const std::vector<ProxyPlace>& places = {}) {
    const auto count = nft::forget_dns_flows(socket_.get(), resolvers, places);
    EXPECT_TRUE(count) << count.error().message();
    return count.value_or(0);
  }

  Network network_;
  FileDescriptor socket_;

  std::unique_ptr<FarServices> far_;
};

TEST_F(NftConntrack, ForgetsFlowsToTheResolversOnly) {
  track();
  ASSERT_EQ(udp_send_to(ip("192.0.2.1"), 53), 0);
  ASSERT_EQ(udp_send_to(ip("2001:db8::1"), 53), 0);
  ASSERT_EQ(udp_send_to(ip("192.0.2.2"), 53), 0);   // another address
  ASSERT_EQ(udp_send_to(ip("192.0.2.1"), 123), 0);  // another port
  EXPECT_EQ(forget({resolver_at("192.0.2.1")}), 1u);
  EXPECT_EQ(forget({resolver_at("2001:db8::1")}), 1u);
  EXPECT_EQ(forget({resolver_at("192.0.2.1"), resolver_at("2001:db8::1")}), 0u);
  EXPECT_EQ(forget({resolver_at("192.0.2.2"), resolver_at("192.0.2.1", 123)}), 2u);
}

TEST_F(NftConntrack, ForgetsConnections) {
  track();
  network_.in_far(
      [&] { far_ = std::make_unique<FarServices>(std::vector<std::uint16_t>{53}, std::vector<std::uint16_t>{}); });
  ASSERT_EQ(tcp_connect(ip("192.0.2.1"), 53), 0);
  EXPECT_EQ(forget({resolver_at("192.0.2.1")}), 1u);
}

TEST_F(NftConntrack, LetsAnOlderSocketBeRedirected) {
  track();
  network_.in_far(
      [&] { far_ = std::make_unique<FarServices>(std::vector<std::uint16_t>{}, std::vector<std::uint16_t>{53}); });
  auto client = make_socket(AF_INET, SOCK_DGRAM);
  const SocketAddress resolver(ip("192.0.2.1"), 53), place(ip("127.0.0.1"), kPlace);
  ASSERT_EQ(connect(client.get(), resolver.get(), resolver.length), 0);
  auto proxy = make_socket(AF_INET, SOCK_DGRAM);
  ASSERT_EQ(bind(proxy.get(), place.get(), place.length), 0);
  ASSERT_EQ(send(client.get(), "old", 3, 0), 3);
  redirect();
  ASSERT_EQ(send(client.get(), "old", 3, 0), 3);
  EXPECT_FALSE(receive(proxy.get(), milliseconds(100)));
  EXPECT_EQ(forget({resolver_at("192.0.2.1")}), 1u);
  ASSERT_EQ(send(client.get(), "new", 3, 0), 3);
  EXPECT_EQ(receive(proxy.get(), milliseconds(1000)), (Bytes{'n', 'e', 'w'}));
}

TEST_F(NftConntrack, KeepsFlowsToAPlace) {
  redirect();
  ASSERT_EQ(udp_send_to(ip("192.0.2.1"), 53), 0);
  const ProxyPlace place{.resolver = resolver_at("192.0.2.1"), .protocol = Protocol::kUdp, .port = Port{kPlace}};
  EXPECT_EQ(forget({place.resolver}, {place}), 0u);
  ProxyPlace other = place;
  other.port = Port{kPlace + 1};
  EXPECT_EQ(forget({place.resolver}, {other}), 1u);
}

TEST_F(NftConntrack, FindsNothingWhereNothingIsTracked) {
  ASSERT_EQ(udp_send_to(ip("192.0.2.1"), 53), 0);
  EXPECT_EQ(forget({resolver_at("192.0.2.1")}), 0u);
}

}  // namespace
}  // namespace namewall::kernel_tests
