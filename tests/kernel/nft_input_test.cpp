// What comes in for a workload that nftables hold, and loopback between workloads.
#include <netinet/in.h>
#include <poll.h>

#include "tests/kernel/support/nft_test.h"

namespace namewall::kernel_tests {
namespace {

using nft::SetId;

OwnedFd serve_tcp(const std::string& address, std::uint16_t port) {
  const SocketAddress at(ip(address), port);
  auto server = make_socket(at.family(), SOCK_STREAM);
  const int yes = 1;
  setsockopt(server.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (bind(server.get(), at.get(), at.length) != 0 || listen(server.get(), 16) != 0)
    ADD_FAILURE() << std::strerror(errno);
  return server;
}

OwnedFd serve_udp(const std::string& address, std::uint16_t port) {
  const SocketAddress at(ip(address), port);
  auto server = make_socket(at.family(), SOCK_DGRAM);
  if (bind(server.get(), at.get(), at.length) != 0) ADD_FAILURE() << std::strerror(errno);
  return server;
}

class NftInput : public NftTest {
 protected:
  // A server of the workload that sends one byte to each client and waits for its end, while `body` runs.
  void while_serving(const std::string& address, std::uint16_t port, const std::function<void()>& body) {
    Rendezvous turn;
    WorkloadProcess server(cgroup_, [&] {
      const auto listener = serve_tcp(address, port);
      turn.arrive_and_wait();
      for (pollfd waiting{listener.get(), POLLIN, 0}; poll(&waiting, 1, 300) == 1;) {
        const OwnedFd client(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        send(client.get(), "x", 1, MSG_NOSIGNAL);
        receive(client.get(), milliseconds(300));
      }
      return std::string();
    });
    ASSERT_TRUE(turn.await_arrival());
    turn.release();
    body();
    server.wait();
  }
  // What a client gets: 0 and a byte, or the errno.
  static int use_tcp(const std::string& address, std::uint16_t port) {
    const SocketAddress to(ip(address), port);
    const auto client = make_socket(to.family(), SOCK_STREAM);
    if (connect(client.get(), to.get(), to.length) != 0) return errno;
    return receive(client.get(), milliseconds(500)) ? 0 : ETIMEDOUT;
  }
};

TEST_F(NftInput, ListedPortsAreServedAndTheirRepliesPass) {
  table_->add({listens(place_.id, IPPROTO_TCP, 8080, 8081)});
  while_serving("::", 8080, [&] {
    network_.in_far([] {
      EXPECT_EQ(use_tcp("10.77.0.2", 8080), 0);
      EXPECT_EQ(use_tcp("10.77.0.2", 8080), 0);
      EXPECT_EQ(use_tcp("fd77::2", 8080), 0);
    });
  });
  // One entry for a client, not one for each of its connections.
  EXPECT_EQ(table_->count(SetId::kServed4), 1u);
  EXPECT_EQ(table_->count(SetId::kServed6), 1u);
  EXPECT_EQ(refused(), 0u);
  for (const auto set : {SetId::kServed4, SetId::kServed6}) {
    for (const auto& client : table_->list(set))
      EXPECT_GT(*client.expires, nft::kHandshakeKept) << "data went its way: it is kept as a flow is";
  }
}

TEST_F(NftInput, RepliesPassOnlyToClientsThatCame) {
  table_->add({listens(place_.id, IPPROTO_TCP, 8080, 8080)});
  while_serving("0.0.0.0", 8080, [&] {
    network_.in_far([&] {
      const SocketAddress to(ip("10.77.0.2"), 8080);
      const auto client = make_socket(AF_INET, SOCK_STREAM);
      ASSERT_EQ(connect(client.get(), to.get(), to.length), 0);
      ASSERT_TRUE(receive(client.get(), milliseconds(500)));
      table_->remove(table_->list(SetId::kServed4));
    });
  });
  EXPECT_GT(refused(), 0u) << "its end of the connection is nobody's any more";
}

TEST_F(NftInput, OtherPortsAreRefusedAtOnce) {
  table_->add({listens(place_.id, IPPROTO_TCP, 8080, 8081), listens(place_.id, IPPROTO_UDP, 8082, 8082)});
  for (const std::uint16_t port : {std::uint16_t{8082}, std::uint16_t{8079}}) {
    while_serving("::", port, [&] {
      network_.in_far([&] {
        EXPECT_EQ(use_tcp("10.77.0.2", port), ECONNREFUSED);
        EXPECT_EQ(use_tcp("fd77::2", port), ECONNREFUSED);
      });
    });
  }
  EXPECT_EQ(refused(), 4u);
}

struct Datagram {
  bool received = false;
  int reply = -1, later = -1;
};

class NftDatagramsIn : public NftInput {
 protected:
  // A workload's socket at `port` that gets a datagram from far and answers it; then it sends to the peer's other port.
  Datagram exchange(std::uint16_t port) {
    Rendezvous turn;
    WorkloadProcess server(cgroup_, [&] {
      const auto socket = serve_udp("0.0.0.0", port);
      turn.arrive_and_wait();
      Datagram outcome;
      SocketAddress peer;
      peer.length = sizeof(peer.storage);
      char data[16];
      outcome.received = recvfrom(socket.get(), data, sizeof(data), MSG_DONTWAIT, peer.get(), &peer.length) > 0;
      if (outcome.received) {
        outcome.reply = sendto(socket.get(), "r", 1, 0, peer.get(), peer.length) == 1 ? 0 : errno;
        const SocketAddress other(peer.address(), 9);
        outcome.later = sendto(socket.get(), "r", 1, 0, other.get(), other.length) == 1 ? 0 : errno;
      }
      return std::string(reinterpret_cast<const char*>(&outcome), sizeof(outcome));
    });
    EXPECT_TRUE(turn.await_arrival());
    network_.in_far([&] {
      const SocketAddress to(ip("10.77.0.2"), port);
      const auto client = serve_udp("10.77.0.1", 7777);
      EXPECT_EQ(sendto(client.get(), "x", 1, 0, to.get(), to.length), 1);
      std::this_thread::sleep_for(milliseconds(20));
    });
    turn.release();
    const auto bytes = server.wait();
    Datagram outcome;
    if (bytes.size() == sizeof(outcome)) std::memcpy(&outcome, bytes.data(), sizeof(outcome));
    return outcome;
  }
};

TEST_F(NftDatagramsIn, ListedPortsReceiveAndMayAnswerThatPeer) {
  table_->add({listens(place_.id, IPPROTO_UDP, 9000, 9000)});
  const auto outcome = exchange(9000);
  EXPECT_TRUE(outcome.received);
  EXPECT_EQ(outcome.reply, 0);
  EXPECT_EQ(outcome.later, EPERM) << "the answer is for the port that asked";
  const auto served = table_->list(SetId::kServed4);
  ASSERT_EQ(served.size(), 1u);
  EXPECT_EQ(*served[0].timeout, nft::kAnswerableKept);
}

TEST_F(NftDatagramsIn, OtherPortsReceiveNothing) {
  table_->add({listens(place_.id, IPPROTO_TCP, 9000, 9000)});
  EXPECT_FALSE(exchange(9000).received);
  EXPECT_EQ(refused(), 1u);
}

TEST_F(NftDatagramsIn, AllowedPeersMaySend) {
  table_->add({fixed(place_.id, "udp 10.77.0.0:7777", "udp 10.77.0.255:7777")});
  EXPECT_TRUE(exchange(9000).received);
}

TEST_F(NftDatagramsIn, APeerThatWasAskedMaySendForAWhile) {
  table_->add({{.set = SetId::kAsked4,
                .key = nft::encode(endpoint(place_.id, "udp 10.77.0.1:7777")),
                .timeout = nft::kAskedKept}});
  EXPECT_TRUE(exchange(9000).received);
  EXPECT_EQ(exchange(9001).reply, EPERM) << "that is no permission to send";
}

// ---- loopback ----

class NftLoopback : public NftInput {
 protected:
  int tcp_to(const std::string& address, std::uint16_t port) {
    return in_cgroup(cgroup_, [&] { return use_tcp_once(address, port); });
  }
  // Connects to a listener that does not answer.
  static int use_tcp_once(const std::string& address, std::uint16_t port) { return tcp_connect(ip(address), port); }

  int tcp_to_own(const std::string& address) {
    return in_cgroup(cgroup_, [&] {
      const auto server = serve_tcp(address, 3000);
      const SocketAddress to(ip(address), 3000);
      const auto client = make_socket(to.family(), SOCK_STREAM);
      if (connect(client.get(), to.get(), to.length) != 0) return errno;
      const OwnedFd other(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (send(client.get(), "x", 1, 0) != 1 || !receive(other.get(), milliseconds(300))) return ETIMEDOUT;
      if (send(other.get(), "x", 1, 0) != 1 || !receive(client.get(), milliseconds(300))) return ETIMEDOUT;
      return 0;
    });
  }
  int udp_to_own(const std::string& address) {
    return in_cgroup(cgroup_, [&] {
      const auto server = serve_udp(address, 3001);
      const SocketAddress to(ip(address), 3001);
      const auto client = make_socket(to.family(), SOCK_DGRAM);
      if (sendto(client.get(), "x", 1, 0, to.get(), to.length) != 1) return errno;
      SocketAddress peer;
      peer.length = sizeof(peer.storage);
      char data[4];
      if (recvfrom(server.get(), data, sizeof(data), MSG_DONTWAIT, peer.get(), &peer.length) != 1) return ETIMEDOUT;
      if (sendto(server.get(), "y", 1, 0, peer.get(), peer.length) != 1) return errno;
      return receive(client.get(), milliseconds(200)) ? 0 : ETIMEDOUT;
    });
  }
  void let_own() { table_->add({cgroup_in(SetId::kLoopbackOwn, place_.id), own_pair(kToken, place_.id)}); }
};

TEST_F(NftLoopback, NoneRefusesItsOwnListenerToo) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    EXPECT_EQ(tcp_to_own(address), ECONNREFUSED);
    EXPECT_EQ(udp_to_own(address), EPERM);
  }
}

TEST_F(NftLoopback, OwnLetsSocketsOfOneWorkloadTalk) {
  let_own();
  for (const char* address : {"127.0.0.1", "127.8.8.8", "::1"}) {
    EXPECT_EQ(tcp_to_own(address), 0) << address;
    EXPECT_EQ(udp_to_own(address), 0) << address;
  }
}

TEST_F(NftLoopback, OwnRefusesListenersOfOthers) {
  let_own();
  const auto server = serve_tcp("::", 3000);
  const auto receiver = serve_udp("127.0.0.1", 3001);
  EXPECT_EQ(tcp_to("127.0.0.1", 3000), ECONNREFUSED);
  EXPECT_EQ(tcp_to("::1", 3000), ECONNREFUSED);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_connect_and_send(ip("127.0.0.1"), 3001); }), 0) << "judged on arrival";
  EXPECT_FALSE(receive(receiver.get(), milliseconds(50)));
}

TEST_F(NftLoopback, OwnRefusesListenersOfAnotherWorkloadThatAlsoTakesItsOwn) {
  let_own();
  const ThrowawayCgroup neighbour;
  const auto id = place_of(neighbour).id;
  enforce(id, kToken + 1);
  table_->add({cgroup_in(SetId::kLoopbackOwn, id), own_pair(kToken + 1, id)});
  Rendezvous turn;
  WorkloadProcess server(neighbour, [&] {
    const auto listener = serve_tcp("127.0.0.1", 3000);
    turn.arrive_and_wait();
    return std::string();
  });
  ASSERT_TRUE(turn.await_arrival());
  EXPECT_EQ(tcp_to("127.0.0.1", 3000), ECONNREFUSED);
  turn.release();
  server.wait();
}

TEST_F(NftLoopback, OwnDoesNotNarrowWhatARuleOpens) {
  let_own();
  table_->add({fixed(place_.id, "tcp 127.0.0.1:3000")});
  const auto server = serve_tcp("127.0.0.1", 3000);
  EXPECT_EQ(tcp_to("127.0.0.1", 3000), 0);
}

TEST_F(NftLoopback, AnyReachesListenersOfOthers) {
  table_->add({cgroup_in(SetId::kLoopbackAny, place_.id)});
  const auto server = serve_tcp("::", 3000);
  const auto receiver = serve_udp("127.0.0.1", 3001);
  EXPECT_EQ(tcp_to("127.0.0.1", 3000), 0);
  EXPECT_EQ(tcp_to("::1", 3000), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_send_to(ip("127.0.0.1"), 3001); }), 0);
  EXPECT_TRUE(receive(receiver.get(), milliseconds(100)));
  EXPECT_EQ(tcp_to("192.0.2.1", 443), ECONNREFUSED);
}

TEST_F(NftLoopback, AnyTakesConnectionsOfOthersAndNoneDoesNot) {
  while_serving("::", 3000, [] { EXPECT_EQ(use_tcp("127.0.0.1", 3000), ECONNREFUSED); });
  table_->add({cgroup_in(SetId::kLoopbackAny, place_.id)});
  while_serving("::", 3000, [] { EXPECT_EQ(use_tcp("127.0.0.1", 3000), 0); });
}

TEST_F(NftLoopback, AForgedMarkIsOverwritten) {
  let_own();
  const ThrowawayCgroup neighbour;
  const auto id = place_of(neighbour).id;
  enforce(id, kToken + 1);
  table_->add({cgroup_in(SetId::kLoopbackAny, id)});
  // The workload takes only its own; the neighbour says that it is the workload.
  while_serving("127.0.0.1", 3000, [&] {
    EXPECT_EQ(in_cgroup(neighbour,
                        [] {
                          const SocketAddress to(ip("127.0.0.1"), 3000);
                          const auto client = make_socket(AF_INET, SOCK_STREAM);
                          const std::uint32_t mark = std::uint32_t{kToken} << nft::kTokenShift | nft::kOwnMark;
                          setsockopt(client.get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
                          return connect(client.get(), to.get(), to.length) == 0 ? 0 : errno;
                        }),
              ECONNREFUSED);
  });
}

TEST_F(NftLoopback, LoopbackAddressesStayOnTheLoopbackDevice) {
  table_->add({cgroup_in(SetId::kLoopbackAny, place_.id)});
  write_sysctl("net/ipv4/conf/all/route_localnet", "1");
  run_command({"ip", "route", "add", "local", "127.0.0.0/8", "dev", "lo", "table", "main"});
  EXPECT_EQ(
      in_cgroup(cgroup_,
                [] {
                  const SocketAddress to(ip("127.0.0.9"), 9);
                  const auto client = make_socket(AF_INET, SOCK_DGRAM);
                  if (setsockopt(client.get(), SOL_SOCKET, SO_BINDTODEVICE, kNearDevice, sizeof(kNearDevice)) != 0)
                    return 1000 + errno;
                  return sendto(client.get(), "x", 1, 0, to.get(), to.length) == 1 ? 0 : errno;
                }),
      EPERM);
}

}  // namespace
}  // namespace namewall::kernel_tests
