// Loopback own, none and any; what may come in; what may be bound.
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::Contains;

OwnedFd listen_on(const Address& address, std::uint16_t port, int* error = nullptr) {
  const SocketAddress at(address, port);
  auto server = make_socket(at.family(), SOCK_STREAM);
  const int yes = 1;
  setsockopt(server.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const bool listening = bind(server.get(), at.get(), at.length) == 0 && listen(server.get(), 16) == 0;
  if (error != nullptr) *error = listening ? 0 : errno;
  return server;
}

OwnedFd bind_udp(const Address& address, std::uint16_t port) {
  const SocketAddress at(address, port);
  auto server = make_socket(at.family(), SOCK_DGRAM);
  if (bind(server.get(), at.get(), at.length) != 0) return OwnedFd();
  return server;
}

class LoopbackRule : public WorkloadTest {
 protected:
  Policy policy_with(Loopback loopback) {
    auto policy = make_policy({});
    policy.loopback = loopback;
    return policy;
  }
  // A server of the workload and a client of the workload on one address.
  int tcp_to_own(const Address& address, std::uint16_t port) {
    return in_cgroup(cgroup_, [&] {
      int error = 0;
      const auto server = listen_on(address, port, &error);
      return error != 0 ? 1000 + error : tcp_connect(address, port, milliseconds(300));
    });
  }
  int tcp_to_foreign(const Address& address, std::uint16_t port) {
    const auto server = listen_on(address, port);
    return in_cgroup(cgroup_, [&] { return tcp_connect(address, port, milliseconds(300)); });
  }
  struct UdpOutcome {
    int send = 0;
    bool received = false, replied = false;
  };
  UdpOutcome udp_to_own(const Address& address, std::uint16_t port) {
    return in_cgroup(cgroup_, [&] {
      UdpOutcome outcome;
      const auto server = bind_udp(address, port);
      const SocketAddress to(address, port);
      const auto client = make_socket(to.family(), SOCK_DGRAM);
      if (sendto(client.get(), "ping", 4, 0, to.get(), to.length) < 0) outcome.send = errno;
      SocketAddress peer;
      peer.length = sizeof(peer.storage);
      char data[16];
      outcome.received = recvfrom(server.get(), data, sizeof(data), MSG_DONTWAIT, peer.get(), &peer.length) == 4;
      if (outcome.received) sendto(server.get(), "pong", 4, 0, peer.get(), peer.length);
      outcome.replied = receive(client.get(), milliseconds(100)).has_value();
      return outcome;
    });
  }
};

TEST_F(LoopbackRule, OwnLetsSocketsOfOneWorkloadTalk) {
  arm(policy_with(Loopback::kOwn));
  EXPECT_EQ(tcp_to_own(ip("127.0.0.1"), 3000), 0);
  EXPECT_EQ(tcp_to_own(ip("127.8.8.8"), 3000), 0);
  EXPECT_EQ(tcp_to_own(ip("::1"), 3000), 0);
  for (const char* address : {"127.0.0.1", "::1"}) {
    const auto outcome = udp_to_own(ip(address), 3001);
    EXPECT_EQ(outcome.send, 0) << address;
    EXPECT_TRUE(outcome.received) << address;
    EXPECT_TRUE(outcome.replied) << address;
  }
}

TEST_F(LoopbackRule, OwnRefusesListenersOfOthers) {
  arm(policy_with(Loopback::kOwn));
  EXPECT_EQ(tcp_to_foreign(ip("127.0.0.1"), 3000), ECONNREFUSED);
  EXPECT_EQ(tcp_to_foreign(ip("::1"), 3000), ECONNREFUSED);
  EXPECT_THAT(take_reasons(), Contains("loopback"));
  const auto server = bind_udp(ip("127.0.0.1"), 3001);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_send_to(ip("127.0.0.1"), 3001); }), ECONNREFUSED);
  EXPECT_FALSE(receive(server.get(), milliseconds(50)));
}

TEST_F(LoopbackRule, OwnRefusesAListenerOnAllAddressesOfAnother) {
  arm(policy_with(Loopback::kOwn));
  const auto server = listen_on(ip("::"), 3000);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return tcp_connect(ip("127.0.0.1"), 3000); }), ECONNREFUSED);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return tcp_connect(ip("0.0.0.0"), 3000); }), ECONNREFUSED) << "0.0.0.0 is loopback";
  EXPECT_EQ(in_cgroup(cgroup_, [] { return tcp_connect(ip("::"), 3000); }), ECONNREFUSED);
}

TEST_F(LoopbackRule, OwnIsOfOneWorkloadNotOfTwo) {
  arm(policy_with(Loopback::kOwn));
  const ThrowawayCgroup neighbour;
  arm_other(neighbour, policy_with(Loopback::kOwn));
  Rendezvous turn;
  WorkloadProcess server(neighbour, [&] {
    const auto listener = listen_on(ip("127.0.0.1"), 3000);
    turn.arrive_and_wait();
    return std::string();
  });
  ASSERT_TRUE(turn.await_arrival());
  EXPECT_EQ(tcp_inside(ip("127.0.0.1"), 3000), ECONNREFUSED);
  turn.release();
  server.wait();
}

TEST_F(LoopbackRule, NoneRefusesTheWorkloadsOwnListenerToo) {
  arm(policy_with(Loopback::kNone));
  EXPECT_NE(tcp_to_own(ip("127.0.0.1"), 3000), 0);
  EXPECT_NE(tcp_to_own(ip("::1"), 3000), 0);
  EXPECT_FALSE(udp_to_own(ip("127.0.0.1"), 3001).received);
}

TEST_F(LoopbackRule, AnyReachesListenersOfOthers) {
  arm(policy_with(Loopback::kAny));
  EXPECT_EQ(tcp_to_foreign(ip("127.0.0.1"), 3000), 0);
  EXPECT_EQ(tcp_to_foreign(ip("::1"), 3000), 0);
  const auto server = bind_udp(ip("127.0.0.1"), 3001);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_send_to(ip("127.0.0.1"), 3001); }), 0);
  EXPECT_TRUE(receive(server.get(), milliseconds(100)));
}

TEST_F(LoopbackRule, AnyStillChecksQuestionsToTheResolver) {
  arm(policy_with(Loopback::kAny));
  EXPECT_EQ(look_up_inside("evil.test").send_error, EPERM);
  EXPECT_TRUE(dns_->questions().empty());
}

TEST_F(LoopbackRule, AddressRuleOpensOneLoopbackPort) {
  auto policy = make_policy({"tcp://127.0.0.1:3000"});
  policy.loopback = Loopback::kNone;
  arm(policy);
  EXPECT_EQ(tcp_to_foreign(ip("127.0.0.1"), 3000), 0);
  EXPECT_EQ(tcp_to_foreign(ip("127.0.0.1"), 3002), ECONNREFUSED);
}

class InboundRule : public WorkloadTest {
 protected:
  Policy listening_on(std::vector<PortRange> ports) {
    auto policy = make_policy({"udp://192.0.2.1:443"});
    policy.listen = PortSet(std::move(ports));
    return policy;
  }
  // A process of the far namespace connects to the workload's listener on all addresses.
  int connect_from_far(std::uint16_t port) {
    Rendezvous turn;
    WorkloadProcess server(cgroup_, [&, port] {
      int error = 0;
      const auto listener = listen_on(ip("0.0.0.0"), port, &error);
      turn.arrive_and_wait();
      return std::to_string(error);
    });
    EXPECT_TRUE(turn.await_arrival());
    int result = -1;
    network_.in_far([&] { result = tcp_connect(ip("10.77.0.2"), port, milliseconds(300)); });
    turn.release();
    const auto bind_error = server.wait();
    return bind_error == "0" ? result : 1000 + std::atoi(bind_error.c_str());
  }
  // What a workload socket bound to `port` receives of a datagram from far, and whether it may answer.
  struct UdpOutcome {
    bool received = false;
    int reply = -1;
  };
  UdpOutcome datagram_from_far(std::uint16_t port) {
    Rendezvous turn;
    WorkloadProcess server(cgroup_, [&, port] {
      const auto receiver = bind_udp(ip("0.0.0.0"), port);
      turn.arrive_and_wait();
      UdpOutcome outcome;
      SocketAddress peer;
      peer.length = sizeof(peer.storage);
      char data[64];
      outcome.received = recvfrom(receiver.get(), data, sizeof(data), MSG_DONTWAIT, peer.get(), &peer.length) > 0;
      if (outcome.received) outcome.reply = sendto(receiver.get(), "r", 1, 0, peer.get(), peer.length) == 1 ? 0 : errno;
      return std::string(reinterpret_cast<const char*>(&outcome), sizeof(outcome));
    });
    EXPECT_TRUE(turn.await_arrival());
    network_.in_far([&] {
      udp_send_to(ip("10.77.0.2"), port);
      std::this_thread::sleep_for(milliseconds(20));
    });
    turn.release();
    const auto bytes = server.wait();
    UdpOutcome outcome;
    if (bytes.size() == sizeof(outcome)) std::memcpy(&outcome, bytes.data(), sizeof(outcome));
    return outcome;
  }
};

TEST_F(InboundRule, ListedTcpPortIsReachable) {
  arm(listening_on({{Protocol::kTcp, Port{8080}, Port{8080}}}));
  EXPECT_EQ(connect_from_far(8080), 0);
}

TEST_F(InboundRule, UnlistedTcpPortIsNotReachable) {
  arm(listening_on({{Protocol::kTcp, Port{8080}, Port{8080}}}));
  const int result = connect_from_far(8081);
  EXPECT_NE(result, 0);
  const auto reasons = take_reasons();
  EXPECT_TRUE(count_of(NW_REASON_INBOUND_TCP) + count_of(NW_REASON_BIND_PORT) > 0) << testing::PrintToString(reasons);
}

TEST_F(InboundRule, ListenerOnAnEphemeralPortIsNotReachableEither) {
  arm(listening_on({{Protocol::kTcp, Port{8080}, Port{8080}}}));
  Rendezvous turn;
  std::uint16_t port = 0;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  WorkloadProcess server(cgroup_, [&] {
    const auto listener = make_socket(AF_INET, SOCK_STREAM);
    listen(listener.get(), 4);
    SocketAddress own;
    own.length = sizeof(own.storage);
    getsockname(listener.get(), own.get(), &own.length);
    const std::uint16_t chosen = own.port();
    if (write(ends[1], &chosen, 2) != 2) return std::string("pipe");
    turn.arrive_and_wait();
    return std::string();
  });
  ASSERT_TRUE(turn.await_arrival());
  ASSERT_EQ(read(ends[0], &port, 2), 2);
  close(ends[0]), close(ends[1]);
  network_.in_far([&] { EXPECT_NE(tcp_connect(ip("10.77.0.2"), port, milliseconds(300)), 0); });
  turn.release();
  server.wait();
  EXPECT_GT(count_of(NW_REASON_INBOUND_TCP), 0u);
}

TEST_F(InboundRule, ListedUdpPortReceivesAndMayAnswer) {
  arm(listening_on({{Protocol::kUdp, Port{9000}, Port{9000}}}));
  const auto outcome = datagram_from_far(9000);
  EXPECT_TRUE(outcome.received);
  EXPECT_EQ(outcome.reply, 0);
}

TEST_F(InboundRule, UnlistedUdpPortReceivesNothing) {
  arm(listening_on({}));
  EXPECT_FALSE(datagram_from_far(9000).received);
  EXPECT_GT(count_of(NW_REASON_INBOUND_UDP), 0u);
}

TEST_F(InboundRule, RepliesOfAnAllowedPeerArrive) {
  arm(listening_on({}));
  for (const bool connected : {true, false}) {
    const bool replied = in_cgroup(cgroup_, [&] {
      const SocketAddress to(ip("192.0.2.1"), 443);
      const auto client = make_socket(AF_INET, SOCK_DGRAM);
      if (connected)
        connect(client.get(), to.get(), to.length), send(client.get(), "x", 1, 0);
      else
        sendto(client.get(), "x", 1, 0, to.get(), to.length);
      return receive(client.get(), milliseconds(500)).has_value();
    });
    EXPECT_TRUE(replied) << (connected ? "connected" : "unconnected");
  }
}

}  // namespace
}  // namespace namewall::kernel_tests
