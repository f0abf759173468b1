// NFLOG of this kernel, in a network namespace of the test's own; the rules that log are nft(8)'s.
#include <poll.h>

#include "nft/log_reader.h"
#include "tests/kernel/support/client.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

constexpr std::uint16_t kGroup = 7799;

class NftLogReader : public testing::Test {
 protected:
  // Everything that leaves for one of `destinations` is logged, and goes on.
  void log_packets_to(const std::string& destination) {
    run_command({"nft",
                 "add table inet logged; add chain inet logged out { type filter hook output priority -150; }; add "
                 "rule inet logged out " +
                     destination + " meta mark set 0x10000 log group " + std::to_string(kGroup) +
                     " prefix \"namewall out 3\""});
  }
  std::vector<nft::LoggedPacket> read_all(nft::LogReader& reader) {
    std::vector<nft::LoggedPacket> out;
    pollfd ready{reader.fd(), POLLIN, 0};
    while (poll(&ready, 1, out.empty() ? 2000 : 100) > 0) {
      const auto count = reader.read(1000, [&out](const nft::LoggedPacket& packet) { out.push_back(packet); });
      EXPECT_TRUE(count) << count.error().message();
      if (!count) break;
    }
    return out;
  }

  Network network_;
};

TEST_F(NftLogReader, TellsOfAPacketAtOnce) {
  auto socket = nft::LogReader::open_socket_here(kGroup);
  ASSERT_TRUE(socket) << socket.error().message();
  nft::LogReader reader(std::move(*socket));
  log_packets_to("ip daddr 192.0.2.1");
  ASSERT_EQ(udp_send_to(ip("192.0.2.1"), 123), 0);
  pollfd ready{reader.fd(), POLLIN, 0};
  EXPECT_EQ(poll(&ready, 1, 50), 1);  // the kernel would keep it back for a second
  const auto packets = read_all(reader);
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].prefix, "namewall out 3");
  EXPECT_EQ(packets[0].mark, 0x10000u);
  EXPECT_EQ(packets[0].destination, ip("192.0.2.1"));
  EXPECT_EQ(packets[0].source, ip("10.77.0.2"));
  EXPECT_EQ(packets[0].destination_port, 123);
  EXPECT_EQ(packets[0].ip_protocol, IPPROTO_UDP);
}

TEST_F(NftLogReader, TellsOfATcpStartOverIpv6) {
  auto socket = nft::LogReader::open_socket_here(kGroup);
  ASSERT_TRUE(socket) << socket.error().message();
  nft::LogReader reader(std::move(*socket));
  log_packets_to("ip6 daddr 2001:db8::1 tcp dport 9999");
  tcp_connect(ip("2001:db8::1"), 9999);
  const auto packets = read_all(reader);
  ASSERT_FALSE(packets.empty());
  EXPECT_TRUE(packets[0].is_tcp_start);
  EXPECT_TRUE(packets[0].is_ipv6);
  EXPECT_EQ(packets[0].destination, ip("2001:db8::1"));
  EXPECT_EQ(packets[0].destination_port, 9999);
}

TEST_F(NftLogReader, CountsWhatItLost) {
  auto socket = nft::LogReader::open_socket_here(kGroup);
  ASSERT_TRUE(socket) << socket.error().message();
  const int small = 4096;
  ASSERT_EQ(setsockopt(socket->get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
  nft::LogReader reader(std::move(*socket));
  log_packets_to("ip daddr 192.0.2.1");
  ASSERT_EQ(udp_send_to(ip("192.0.2.1"), 123), 0);
  std::size_t seen = read_all(reader).size();
  for (int i = 0; i < 200; ++i) ASSERT_EQ(udp_send_to(ip("192.0.2.1"), 123), 0);
  seen += read_all(reader).size();
  ASSERT_EQ(udp_send_to(ip("192.0.2.1"), 123), 0);  // its number tells what is missing in front of it
  seen += read_all(reader).size();
  EXPECT_GT(reader.lost(), 0u);
  EXPECT_EQ(seen + reader.lost(), 202u);
}

TEST_F(NftLogReader, SaysThatAnotherProgramListens) {
  const auto first = nft::LogReader::open_socket_here(kGroup);
  ASSERT_TRUE(first) << first.error().message();
  const auto second = nft::LogReader::open_socket_here(kGroup);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kConflict);
}

}  // namespace
}  // namespace namewall::kernel_tests
