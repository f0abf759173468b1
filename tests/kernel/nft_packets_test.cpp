// Packets that no ordinary socket sends: segments of no flow, options, extension headers, fragments, other protocols.
// The workload has CAP_NET_RAW here. Each kind is seen to arrive while nobody is enforced, so that its absence means
// something.
#include <linux/seg6.h>
#include <netinet/in.h>
#include <netinet/ip6.h>

#include <array>

#include "tests/kernel/support/nft_test.h"
#include "tests/kernel/support/sniffer.h"

namespace namewall::kernel_tests {
namespace {

using nft::SetId;

constexpr char kAllowed[] = "192.0.2.1", kAllowed6[] = "2001:db8::1";
constexpr char kOther[] = "192.0.2.66", kOther6[] = "2001:db8::66";
constexpr std::uint8_t kSyn = 0x02, kAck = 0x10, kSynAck = 0x12, kRst = 0x04, kFin = 0x11;

Bytes tcp_segment(std::uint16_t from, std::uint16_t to, std::uint8_t flags) {
  Bytes segment(20, 0);
  segment[0] = static_cast<std::uint8_t>(from >> 8), segment[1] = static_cast<std::uint8_t>(from);
  segment[2] = static_cast<std::uint8_t>(to >> 8), segment[3] = static_cast<std::uint8_t>(to);
  segment[12] = 5 << 4;
  segment[13] = flags;
  return segment;
}

Bytes ipv4_packet(const char* destination, std::uint8_t protocol, const Bytes& payload, std::uint16_t fragment = 0,
                  bool has_options = false) {
  Bytes packet(has_options ? 24 : 20, 0);
  packet[0] = has_options ? 0x46 : 0x45;
  packet[6] = static_cast<std::uint8_t>(fragment >> 8), packet[7] = static_cast<std::uint8_t>(fragment);
  packet[8] = 64;
  packet[9] = protocol;
  const auto to = ip(destination).v4_bytes();
  std::copy(to.begin(), to.end(), packet.begin() + 16);
  if (has_options) packet[20] = packet[21] = packet[22] = 1;  // no operation
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

void send_whole4(const Bytes& packet) {
  const auto raw = make_socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  std::copy_n(packet.begin() + 16, 4, reinterpret_cast<std::uint8_t*>(&to.sin_addr));
  sendto(raw.get(), packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
}

void send_raw(const char* destination, int protocol, const Bytes& payload) {
  const SocketAddress to(ip(destination), 0);
  const auto raw = make_socket(to.family(), SOCK_RAW, protocol);
  sendto(raw.get(), payload.data(), payload.size(), 0, to.get(), to.length);
}

class NftPackets : public NftTest {
 protected:
  void SetUp() override {
    NftTest::SetUp();
    sniffer_ = std::make_unique<Sniffer>(network_);
    table_->add({learned(place_.id, "tcp 192.0.2.1:443"), learned(place_.id, "tcp [2001:db8::1]:443"),
                 learned(place_.id, "udp 192.0.2.1:443"), learned(place_.id, "udp [2001:db8::1]:443")});
    // Neighbours are known: a first packet waits for them.
    EXPECT_EQ(udp_send_to(ip(kAllowed), 9), 0);
    EXPECT_EQ(udp_send_to(ip(kAllowed6), 9), 0);
    sniffer_->take();
  }
  bool arrives(const char* destination, const std::function<void()>& act) {
    sniffer_->take();
    in_cgroup(cgroup_, act);
    for (const auto& packet : sniffer_->take()) {
      if (destination_of(packet) == ip(destination)) return true;
    }
    return false;
  }
  void expect_refused(const char* destination, const std::function<void()>& act, const std::string& what) {
    EXPECT_FALSE(arrives(destination, act)) << what;
    const auto enforced = cgroup_in(SetId::kEnforced, place_.id);
    table_->remove({enforced});
    EXPECT_TRUE(arrives(destination, act)) << what << ", from nobody's workload: the test itself";
    table_->add({enforced});
  }
  std::unique_ptr<Sniffer> sniffer_;
};

TEST_F(NftPackets, SegmentsOfFlowsThatWereNeverAllowedAreNoWayOut) {
  for (const auto flags : {kSyn, kAck, kSynAck, kRst, kFin, std::uint8_t{0}, std::uint8_t{0xc2}}) {
    const auto name = "flags " + std::to_string(flags);
    expect_refused(
        kOther, [&] { send_raw(kOther, IPPROTO_TCP, tcp_segment(4000, 443, flags)); }, name);
    expect_refused(
        kOther6, [&] { send_raw(kOther6, IPPROTO_TCP, tcp_segment(4000, 443, flags)); }, name + " IPv6");
    expect_refused(
        kAllowed, [&] { send_raw(kAllowed, IPPROTO_TCP, tcp_segment(4000, 80, flags)); }, name + " another port");
  }
}

TEST_F(NftPackets, AFlowIsEnteredByItsFirstPacket) {
  EXPECT_TRUE(arrives(kAllowed, [] { send_raw(kAllowed, IPPROTO_TCP, tcp_segment(4000, 443, kSyn)); }));
  EXPECT_TRUE(arrives(kAllowed6, [] { send_raw(kAllowed6, IPPROTO_TCP, tcp_segment(4000, 443, kSyn)); }));
  EXPECT_EQ(table_->count(SetId::kFlows4), 1u);
  EXPECT_EQ(table_->count(SetId::kFlows6), 1u);
}

TEST_F(NftPackets, AClientMayNotBeAnsweredFromAnotherPort) {
  table_->add({{.set = SetId::kServed4,
                .key = nft::encode(endpoint(place_.id, std::string("tcp ") + kOther + ":8080")),
                .timeout = std::chrono::minutes(1)}});
  EXPECT_TRUE(arrives(kOther, [] { send_raw(kOther, IPPROTO_TCP, tcp_segment(8080, 5555, kAck)); }));
  expect_refused(
      kOther, [] { send_raw(kOther, IPPROTO_TCP, tcp_segment(8081, 5555, kAck)); }, "another port");
  expect_refused(
      kOther, [] { send_raw(kOther, IPPROTO_TCP, tcp_segment(8080, 5555, kSyn)); }, "a new flow");
}

TEST_F(NftPackets, OptionsAreRefusedAlsoTowardsWhatIsAllowed) {
  const auto options = [](std::uint8_t protocol, const Bytes& payload) {
    return [=] { send_whole4(ipv4_packet(kAllowed, protocol, payload, 0, true)); };
  };
  expect_refused(kAllowed, options(IPPROTO_TCP, tcp_segment(4000, 443, kSyn)), "SYN");
  EXPECT_EQ(tcp_inside(kAllowed), 0);  // now it is in flows
  expect_refused(kAllowed, options(IPPROTO_TCP, tcp_segment(4000, 443, kAck)), "ACK of a known peer");
  expect_refused(kAllowed, options(IPPROTO_UDP, {0, 9, 1, 187, 0, 8, 0, 0}), "UDP");
}

TEST_F(NftPackets, ASocketsSourceRouteIsRefused) {
  expect_refused(
      kAllowed,
      [] {
        const auto s = make_socket(AF_INET, SOCK_DGRAM);
        const std::array<std::uint8_t, 8> no_operations{1, 1, 1, 1, 1, 1, 1, 1};
        setsockopt(s.get(), IPPROTO_IP, IP_OPTIONS, no_operations.data(), no_operations.size());
        const SocketAddress to(ip(kAllowed), 443);
        sendto(s.get(), "x", 1, 0, to.get(), to.length);
      },
      "IP_OPTIONS");
}

TEST_F(NftPackets, ExtensionHeadersAreRefusedAlsoTowardsWhatIsAllowed) {
  const auto with = [](int option, std::vector<std::uint8_t> header) {
    return [=] {
      const auto s = make_socket(AF_INET6, SOCK_DGRAM);
      if (setsockopt(s.get(), IPPROTO_IPV6, option, header.data(), static_cast<socklen_t>(header.size())) != 0) return;
      const SocketAddress to(ip(kAllowed6), 443);
      sendto(s.get(), "x", 1, 0, to.get(), to.length);
    };
  };
  const std::vector<std::uint8_t> padding{0, 0, 1, 4, 0, 0, 0, 0};
  expect_refused(kAllowed6, with(IPV6_HOPOPTS, padding), "hop by hop");
  expect_refused(kAllowed6, with(IPV6_DSTOPTS, padding), "destination options");
  std::vector<std::uint8_t> routing(8 + 32, 0);  // RFC 8754: first hop and last one are the same
  routing[1] = 4, routing[2] = 4, routing[3] = 1, routing[4] = 1;
  const auto hop = ip(kAllowed6).bytes();
  std::copy(hop.begin(), hop.end(), routing.begin() + 24);
  expect_refused(kAllowed6, with(IPV6_RTHDR, routing), "routing");
}

TEST_F(NftPackets, FragmentsAreRefused) {
  const Bytes datagram{0, 9, 1, 187, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
  expect_refused(
      kAllowed, [&] { send_whole4(ipv4_packet(kAllowed, IPPROTO_UDP, datagram, 0x2000)); }, "first of UDP");
  expect_refused(
      kAllowed, [&] { send_whole4(ipv4_packet(kAllowed, IPPROTO_UDP, datagram, 0x0004)); }, "last of UDP");
  EXPECT_EQ(tcp_inside(kAllowed), 0);
  const auto segment = tcp_segment(4000, 443, kAck);
  expect_refused(
      kAllowed, [&] { send_whole4(ipv4_packet(kAllowed, IPPROTO_TCP, segment, 0x2000)); }, "first of TCP");
  expect_refused(
      kAllowed, [&] { send_whole4(ipv4_packet(kAllowed, IPPROTO_TCP, segment, 0x0004)); }, "last of TCP");
}

TEST_F(NftPackets, LargeDatagramsThatTheKernelCutsPass) {
  EXPECT_TRUE(arrives(kAllowed, [] {
    const SocketAddress to(ip(kAllowed), 443);
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    const Bytes data(4000, 1);
    sendto(client.get(), data.data(), data.size(), 0, to.get(), to.length);
  }));
}

TEST_F(NftPackets, OtherProtocolsAreRefused) {
  for (const int protocol : {int{IPPROTO_SCTP}, int{IPPROTO_GRE}, int{IPPROTO_UDPLITE}, 200}) {
    expect_refused(
        kAllowed, [&] { send_raw(kAllowed, protocol, Bytes(16, 1)); }, std::to_string(protocol));
    expect_refused(
        kAllowed6, [&] { send_raw(kAllowed6, protocol, Bytes(16, 1)); }, std::to_string(protocol));
  }
}

TEST_F(NftPackets, IcmpThatIsNoAllowedEchoIsRefused) {
  table_->add({learned(place_.id, "icmp 192.0.2.1")});
  const Bytes echo{8, 0, 0, 0, 0, 1, 0, 1}, error{3, 3, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, stamp{13, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_TRUE(arrives(kAllowed, [&] { send_raw(kAllowed, IPPROTO_ICMP, echo); }));
  expect_refused(
      kOther, [&] { send_raw(kOther, IPPROTO_ICMP, echo); }, "echo to another");
  expect_refused(
      kAllowed, [&] { send_raw(kAllowed, IPPROTO_ICMP, error); }, "an error by its own hand");
  expect_refused(
      kAllowed, [&] { send_raw(kAllowed, IPPROTO_ICMP, stamp); }, "timestamp");
  expect_refused(
      kAllowed6,
      [&] {
        send_raw(kAllowed6, IPPROTO_ICMPV6, {1, 4, 0, 0, 0, 0, 0, 0});
      },
      "IPv6 error");
}

TEST_F(NftPackets, TheKernelsOwnIcmpPasses) {
  // Nobody listens at the workload's port any more: the kernel tells the far end so, and finds its neighbours anew.
  run_command({"ip", "neigh", "flush", "dev", kNearDevice});
  network_.in_far([] {
    for (const char* address : {"10.77.0.2", "fd77::2"}) {
      const SocketAddress to(ip(address), 9999);
      const auto client = make_socket(to.family(), SOCK_DGRAM);
      ASSERT_EQ(connect(client.get(), to.get(), to.length), 0);
      ASSERT_EQ(send(client.get(), "x", 1, 0), 1);
      std::this_thread::sleep_for(milliseconds(50));
      EXPECT_TRUE(send(client.get(), "x", 1, 0) < 0 && errno == ECONNREFUSED) << address;
    }
  });
}

TEST_F(NftPackets, NeighbourDiscoveryPasses) {
  // The kernel's sockets for it are of the cgroup that made the namespace.
  Bytes solicitation(24, 0);
  solicitation[0] = 135;
  const auto target = ip("fd77::1").bytes();
  std::copy(target.begin(), target.end(), solicitation.begin() + 8);
  const auto solicit = [&](int hops) {
    return arrives("fd77::1", [&] {
      const auto raw = make_socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
      setsockopt(raw.get(), IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
      const SocketAddress to(ip("fd77::1"), 0);
      sendto(raw.get(), solicitation.data(), solicitation.size(), 0, to.get(), to.length);
    });
  };
  EXPECT_TRUE(solicit(255));
  EXPECT_FALSE(solicit(64)) << "routers would pass it on";
}

}  // namespace
}  // namespace namewall::kernel_tests
