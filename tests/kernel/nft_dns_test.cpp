// The way of questions to the proxy's places, by nftables alone.
#include <netinet/in.h>
#include <poll.h>

#include "tests/kernel/support/dns_server.h"
#include "tests/kernel/support/nft_test.h"

namespace namewall::kernel_tests {
namespace {

using nft::SetId;

constexpr std::uint16_t kPlacePort = 5377;

// What a question brought to a place.
struct Question {
  bool came = false;
  std::uint32_t mark = 0;
};

class NftDns : public NftTest {
 protected:
  nft::RulesetPlan plan() const override {
    const auto depth = place_of(cgroup_).depth;
    return {.depths = {depth, depth + 1}, .parent_depths = {}, .redirects_dns = true};
  }
  static std::string resolver(bool is_v6, const char* protocol = "udp") {
    return std::string(protocol) + (is_v6 ? " [fd77::1]:53" : " 10.77.0.1:53");
  }
  void trust(std::uint64_t id) {
    for (const bool is_v6 : {false, true}) {
      table_->add({resolver_of(id, resolver(is_v6)), resolver_of(id, resolver(is_v6, "tcp"))});
    }
  }
  void serve() {
    for (const bool is_v6 : {false, true}) {
      table_->add({proxy_place(resolver(is_v6), kPlacePort), proxy_place(resolver(is_v6, "tcp"), kPlacePort)});
      auto& socket = places_[is_v6];
      socket = make_socket(is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM);
      const SocketAddress at(ip(is_v6 ? "::1" : "127.0.0.1"), kPlacePort);
      ASSERT_EQ(bind(socket.get(), at.get(), at.length), 0);
      const int yes = 1;
      ASSERT_EQ(setsockopt(socket.get(), SOL_SOCKET, SO_RCVMARK, &yes, sizeof(yes)), 0);
    }
  }
  // Takes a question and answers it.
  Question take(bool is_v6, milliseconds timeout = milliseconds(200)) {
    pollfd waiting{places_[is_v6].get(), POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(timeout.count())) != 1) return {};
    SocketAddress peer;
    char data[64], control[128];
    iovec part{data, sizeof(data)};
    msghdr message{};
    message.msg_name = peer.get();
    message.msg_namelen = sizeof(peer.storage);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    if (recvmsg(places_[is_v6].get(), &message, 0) < 0) return {};
    Question question{.came = true};
    for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_MARK)
        std::memcpy(&question.mark, CMSG_DATA(header), sizeof(question.mark));
    }
    sendto(places_[is_v6].get(), "answer", 6, 0, peer.get(), message.msg_namelen);
    return question;
  }
  // A question from this port of ours: whether the resolver itself answers, and nobody else.
  bool resolver_answers(std::uint16_t own_port) {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    const SocketAddress own(ip("10.77.0.2"), own_port), to(ip("10.77.0.1"), 53);
    if (bind(client.get(), own.get(), own.length) != 0) return false;
    if (sendto(client.get(), "x", 1, 0, to.get(), to.length) != 1) return false;
    return receive(client.get(), milliseconds(500)) && !take(false, milliseconds(0)).came;
  }
  // Asks twice on one socket, connected or not; the answers have to come from the resolver.
  static std::string ask(bool is_v6, bool connects) {
    const SocketAddress to(ip(is_v6 ? "fd77::1" : "10.77.0.1"), 53);
    const auto client = make_socket(to.family(), SOCK_DGRAM);
    if (connects && connect(client.get(), to.get(), to.length) != 0) return "connect";
    for (int i = 0; i < 2; ++i) {
      if (sendto(client.get(), "ask", 3, 0, connects ? nullptr : to.get(), connects ? 0 : to.length) != 3)
        return std::strerror(errno);
      pollfd waiting{client.get(), POLLIN, 0};
      if (poll(&waiting, 1, 500) != 1) return "no answer";
      SocketAddress from;
      from.length = sizeof(from.storage);
      char data[16];
      if (recvfrom(client.get(), data, sizeof(data), 0, from.get(), &from.length) != 6) return "another answer";
      if (from.address() != to.address() || from.port() != 53) return "from another";
    }
    return "answered";
  }
  OwnedFd places_[2];
};

TEST_F(NftDns, QuestionsGoToThePlaceWithTheAskersToken) {
  trust(place_.id);
  serve();
  for (const bool is_v6 : {false, true}) {
    for (const bool connects : {false, true}) {
      WorkloadProcess asker(cgroup_, [&] { return ask(is_v6, connects); });
      for (int i = 0; i < 2; ++i) {
        const auto question = take(is_v6);
        EXPECT_TRUE(question.came);
        EXPECT_EQ(question.mark, std::uint32_t{kToken} << nft::kTokenShift);
      }
      EXPECT_EQ(asker.wait(), "answered") << is_v6 << connects;
    }
  }
  EXPECT_EQ(far_->datagrams(), 0u);
}

TEST_F(NftDns, QuestionsOverTcpGoThereToo) {
  trust(place_.id);
  serve();
  for (const bool is_v6 : {false, true}) {
    const SocketAddress at(ip(is_v6 ? "::1" : "127.0.0.1"), kPlacePort);
    const auto listener = make_socket(at.family(), SOCK_STREAM);
    ASSERT_EQ(bind(listener.get(), at.get(), at.length), 0);
    ASSERT_EQ(listen(listener.get(), 4), 0);
    WorkloadProcess asker(cgroup_, [&] {
      const SocketAddress to(ip(is_v6 ? "fd77::1" : "10.77.0.1"), 53);
      const auto client = make_socket(to.family(), SOCK_STREAM);
      if (connect(client.get(), to.get(), to.length) != 0) return std::string(std::strerror(errno));
      if (send(client.get(), "ask", 3, 0) != 3) return std::string("send");
      return std::string(receive(client.get(), milliseconds(500)) ? "answered" : "no answer");
    });
    const OwnedFd client(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(receive(client.get(), milliseconds(500)));
    EXPECT_EQ(send(client.get(), "x", 1, 0), 1);
    EXPECT_EQ(asker.wait(), "answered");
  }
}

TEST_F(NftDns, WithoutAPlaceQuestionsAreRefusedWhateverElseAllows) {
  trust(place_.id);
  table_->add({fixed(place_.id, "udp 10.77.0.0:0", "udp 10.77.0.255:65535"),
               fixed(place_.id, "tcp 10.77.0.0:0", "tcp 10.77.0.255:65535")});
  EXPECT_EQ(udp_inside("10.77.0.1", 53), EPERM);
  EXPECT_EQ(tcp_inside("10.77.0.1", 53), ECONNREFUSED);
  EXPECT_EQ(udp_inside("10.77.0.1", 123), 0);
}

TEST_F(NftDns, OthersAskTheResolverItself) {
  trust(place_.id);
  serve();
  EXPECT_EQ(udp_send_to(ip("10.77.0.1"), 53), 0);
  EXPECT_FALSE(take(false, milliseconds(50)).came);
  const ThrowawayCgroup neighbour;
  enforce(place_of(neighbour).id, 2);
  EXPECT_EQ(in_cgroup(neighbour, [] { return udp_send_to(ip("10.77.0.1"), 53); }), EPERM) << "it trusts nobody";
}

TEST_F(NftDns, APortThatSomebodyElseAskedFromIsAnotherFlow) {
  constexpr std::uint16_t kOwnPort = 40444;
  trust(place_.id);
  serve();
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(resolver_answers(kOwnPort)) << round;
    WorkloadProcess asker(cgroup_, [&] {
      const auto client = make_socket(AF_INET, SOCK_DGRAM);
      const SocketAddress own(ip("10.77.0.2"), kOwnPort), to(ip("10.77.0.1"), 53);
      if (bind(client.get(), own.get(), own.length) != 0) return std::string("bind");
      if (sendto(client.get(), "x", 1, 0, to.get(), to.length) != 1) return std::string(std::strerror(errno));
      return std::string(receive(client.get(), milliseconds(500)) ? "answered" : "no answer");
    });
    EXPECT_EQ(take(false).mark, std::uint32_t{kToken} << nft::kTokenShift) << round;
    EXPECT_EQ(asker.wait(), "answered") << round;
  }
}

TEST_F(NftDns, ASocketThatAskedBeforeThePolicyDoesNotGoPastTheProxy) {
  Rendezvous turn;
  WorkloadProcess asker(cgroup_, [&] {
    const SocketAddress to(ip("10.77.0.1"), 53);
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    if (connect(client.get(), to.get(), to.length) != 0 || send(client.get(), "x", 1, 0) != 1)
      return std::string("first");
    if (!receive(client.get(), milliseconds(500))) return std::string("no answer");
    turn.arrive_and_wait();
    return std::string(send(client.get(), "x", 1, 0) < 0 ? std::strerror(errno) : "sent");
  });
  const auto opening = fixed(place_.id, "udp 10.77.0.1:53");
  table_->add({opening});
  ASSERT_TRUE(turn.await_arrival());
  table_->remove({opening});
  trust(place_.id);
  serve();
  const auto before = far_->datagrams();
  turn.release();
  EXPECT_EQ(asker.wait(), "sent");
  EXPECT_TRUE(take(false).came);
  EXPECT_EQ(far_->datagrams(), before);
}

TEST_F(NftDns, TheInnermostWorkloadIsTheAsker) {
  const ThrowawayCgroup inner(cgroup_);
  enforce(place_of(inner).id, 7);
  trust(place_.id);
  trust(place_of(inner).id);
  serve();
  WorkloadProcess asker(inner, [&] { return ask(false, true); });
  for (int i = 0; i < 2; ++i) EXPECT_EQ(take(false).mark, 7u << nft::kTokenShift);
  EXPECT_EQ(asker.wait(), "answered");
}

}  // namespace
}  // namespace namewall::kernel_tests
