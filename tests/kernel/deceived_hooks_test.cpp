// A hook judges a destination, and what then happens is another one: the kernel chooses the address, the policy moves
// on under a socket that stays, translation hides the resolver, or a packet borrows its source.
#include <netinet/in.h>
#include <poll.h>

#include <atomic>
#include <span>
#include <thread>

#include "tests/kernel/support/control_message.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::IsEmpty;

const char kEvil[] = "203.0.113.66", kServer[] = "192.0.2.1";

OwnedFd bound(const SocketAddress& at, int type) {
  auto s = make_socket(at.family(), type);
  const int yes = 1;
  setsockopt(s.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  return bind(s.get(), at.get(), at.length) == 0 ? std::move(s) : OwnedFd();
}

OwnedFd listener(const SocketAddress& at) {
  auto s = bound(at, SOCK_STREAM);
  listen(s.get(), 4);
  return s;
}

// ---- the unspecified address ----

class UnspecifiedDestination : public WorkloadTest {
 protected:
  void SetUp() override {
    WorkloadTest::SetUp();
    if (!HasFatalFailure()) arm(make_policy({"example.com"}));
  }
  // The workload listens on its own loopback address and connects from `source` to `any`, both at `port`.
  int connect_from(const SocketAddress& own, const SocketAddress& source, const SocketAddress& any) {
    return in_cgroup(cgroup_, [&] {
      const auto server = listener(own);
      const auto client = bound(source, SOCK_STREAM | SOCK_NONBLOCK);
      if (server.get() < 0 || client.get() < 0) return -1;
      if (connect(client.get(), any.get(), any.length) != 0 && errno != EINPROGRESS) return errno;
      return wait_for_tcp(client.get(), milliseconds(300));
    });
  }
};

TEST_F(UnspecifiedDestination, LeadsToTheWorkloadsOwnListener) {
  EXPECT_EQ(connect_from({ip("127.0.0.1"), 3000}, {ip("127.0.0.1"), 0}, {ip("0.0.0.0"), 3000}), 0);
  EXPECT_EQ(connect_from({ip("::1"), 3001}, {ip("::1"), 0}, {ip("::"), 3001}), 0);
}

TEST_F(UnspecifiedDestination, IsNotTheAddressThatTheSocketIsBoundTo) {
  for (const char* address : {"10.77.0.2", "127.0.0.2"}) {
    const auto foreign = listener({ip(address), 3000});
    EXPECT_NE(connect_from({ip("127.0.0.1"), 3000}, {ip(address), 0}, {ip("0.0.0.0"), 3000}), -1);
    pollfd arrival{foreign.get(), POLLIN, 0};
    EXPECT_EQ(poll(&arrival, 1, 0), 0) << "reached a listener of another on " << address;
  }
}

TEST_F(UnspecifiedDestination, IsNotTheMappedAddressThatTheSocketIsBoundTo) {
  const auto foreign = listener({ip("127.0.0.1"), 3000});
  EXPECT_NE(connect_from({ip("::1"), 3000}, SocketAddress::mapped(ip("127.0.0.1"), 0), {ip("::"), 3000}), 0);
}

TEST_F(UnspecifiedDestination, DatagramsGoWhereTheHookLooked) {
  for (const bool connected : {true, false}) {
    const auto foreign = bound({ip("10.77.0.2"), 3001}, SOCK_DGRAM);
    in_cgroup(cgroup_, [&] {
      const auto server = bound({ip("127.0.0.1"), 3001}, SOCK_DGRAM);
      const auto client = bound({ip("10.77.0.2"), 0}, SOCK_DGRAM);
      const SocketAddress any(ip("0.0.0.0"), 3001);
      if (connected && connect(client.get(), any.get(), any.length) != 0) return;
      sendto(client.get(), "x", 1, 0, connected ? nullptr : any.get(), connected ? 0 : any.length);
    });
    EXPECT_FALSE(receive(foreign.get(), milliseconds(50))) << (connected ? "connected" : "sendto");
  }
}

TEST_F(UnspecifiedDestination, PlaceOfAnOwnSocketThatIsGoneIsNotItsSuccessors) {
  for (const bool connected : {true, false}) {
    Rendezvous turn;
    WorkloadProcess child(cgroup_, [&] {
      auto server = bound({ip("127.0.0.1"), 3001}, SOCK_DGRAM);
      const auto client = bound({ip("127.0.0.1"), 40088}, SOCK_DGRAM);
      const SocketAddress to(ip("127.0.0.1"), 3001);
      if (connected) {
        connect(client.get(), to.get(), to.length);
        server = OwnedFd();
      }
      turn.arrive_and_wait();
      sendto(client.get(), "x", 1, 0, connected ? nullptr : to.get(), connected ? 0 : to.length);
      return std::string();
    });
    ASSERT_TRUE(turn.await_arrival());
    // Either in its place, or beside it and connected to the client: the kernel prefers it then.
    const auto foreign = bound({ip("127.0.0.1"), 3001}, SOCK_DGRAM);
    ASSERT_GE(foreign.get(), 0);
    const SocketAddress client_at(ip("127.0.0.1"), 40088);
    connect(foreign.get(), client_at.get(), client_at.length);
    turn.release();
    child.wait();
    EXPECT_FALSE(receive(foreign.get(), milliseconds(50))) << (connected ? "connected" : "sendto");
  }
}

TEST_F(UnspecifiedDestination, ListenerOfAnotherInTheSameGroupIsNotReached) {
  const auto share = [](const SocketAddress& at) {
    auto s = make_socket(at.family(), SOCK_STREAM);
    const int yes = 1;
    setsockopt(s.get(), SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
    EXPECT_EQ(bind(s.get(), at.get(), at.length), 0);
    listen(s.get(), 64);
    return s;
  };
  // Which member the hook sees of a group is a coin's toss for each port.
  for (std::uint16_t port = 3002; port < 3014; ++port) {
    const auto foreign = share({ip("127.0.0.1"), port});
    in_cgroup(cgroup_, [&] {
      const auto own = share({ip("127.0.0.1"), port});
      for (int i = 0; i < 4; ++i) tcp_connect(ip("127.0.0.1"), port, milliseconds(10));
    });
    pollfd arrival{foreign.get(), POLLIN, 0};
    EXPECT_EQ(poll(&arrival, 1, 0), 0) << port;
  }
}

// ---- a socket that knew the resolver, and a server that the policy no longer allows ----

class StaleTrust : public WorkloadTest {
 protected:
  void SetUp() override {
    WorkloadTest::SetUp();
    if (HasFatalFailure()) return;
    network_.in_far([&] {
      accomplice_ =
          std::make_unique<DnsServer>(std::vector{SocketAddress(ip(kServer), 5300)}, [](const ReceivedQuestion& q) {
            return std::vector<Reply>{{make_answer(q.bytes, {{q.read.name, 600, "", ip(kEvil)}})}};
          });
    });
    dns_->answer_with([](const ReceivedQuestion&) { return std::vector<Reply>{}; });
  }
  // The workload's socket goes to the resolver and to the accomplice; `change` happens; the socket asks again.
  void ask_accomplice_after(const std::function<void()>& change, bool server_first) {
    Rendezvous turn;
    WorkloadProcess child(cgroup_, [&] {
      const SocketAddress server(ip(kServer), 5300);
      const auto trusted = resolver();
      const auto client = make_socket(AF_INET, SOCK_DGRAM);
      const auto first = make_question(76, "example.com", 1), second = make_question(77, "example.com", 1);
      if (!server_first) sendto(client.get(), first.data(), first.size(), 0, trusted.get(), trusted.length);
      connect(client.get(), server.get(), server.length);
      if (server_first) sendto(client.get(), first.data(), first.size(), 0, trusted.get(), trusted.length);
      turn.arrive_and_wait();
      send(client.get(), second.data(), second.size(), 0);
      receive(client.get(), milliseconds(200));
      return std::string();
    });
    ASSERT_TRUE(turn.await_arrival());
    change();
    turn.release();
    child.wait();
    EXPECT_EQ(accomplice_->questions_for("example.com"), 0u);
    EXPECT_THAT(granted_addresses(), IsEmpty());
    EXPECT_EQ(tcp_inside(ip(kEvil)), ECONNREFUSED);
  }
  std::unique_ptr<DnsServer> accomplice_;
};

TEST_F(StaleTrust, ServerThatOnlyAuditAllowedTeachesNothing) {
  for (const bool server_first : {true, false}) {
    auto audit = make_policy({"example.com"});
    audit.mode = Mode::kAudit;
    if (server_first)
      arm(audit);
    else
      replace(audit);
    ask_accomplice_after([&] { replace(make_policy({"example.com"})); }, server_first);
  }
}

TEST_F(StaleTrust, ServerWhoseRuleIsGoneTeachesNothing) {
  for (const bool server_first : {true, false}) {
    const auto before = make_policy({"example.com", "udp://192.0.2.1:5300"});
    if (server_first)
      arm(before);
    else
      replace(before);
    ask_accomplice_after([&] { replace(make_policy({"example.com"})); }, server_first);
  }
}

TEST_F(StaleTrust, ServerOfASocketOlderThanThePolicyTeachesNothing) {
  // Connected before there was a policy; it goes to the resolver afterwards.
  Rendezvous turn;
  WorkloadProcess child(cgroup_, [&] {
    const SocketAddress server(ip(kServer), 5300);
    const auto trusted = resolver();
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    const auto question = make_question(77, "example.com", 1);
    connect(client.get(), server.get(), server.length);
    turn.arrive_and_wait();
    sendto(client.get(), question.data(), question.size(), 0, trusted.get(), trusted.length);
    send(client.get(), question.data(), question.size(), 0);
    receive(client.get(), milliseconds(200));
    return std::string();
  });
  ASSERT_TRUE(turn.await_arrival());
  arm(make_policy({"example.com"}));
  turn.release();
  child.wait();
  EXPECT_THAT(granted_addresses(), IsEmpty());
}

TEST_F(StaleTrust, ResolverThatThePolicyNoLongerTrustsTeachesNothing) {
  arm(make_policy({"example.com"}));
  far_dns_->answer_with([](const ReceivedQuestion& q) {
    return std::vector<Reply>{{make_answer(q.bytes, {{q.read.name, 600, "", ip(kEvil)}})}};
  });
  Rendezvous turn;
  WorkloadProcess child(cgroup_, [&] {
    const auto old = far_resolver();
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    const auto question = make_question(77, "example.com", 1);
    connect(client.get(), old.get(), old.length);
    turn.arrive_and_wait();
    send(client.get(), question.data(), question.size(), 0);
    receive(client.get(), milliseconds(200));
    return std::string();
  });
  ASSERT_TRUE(turn.await_arrival());
  auto without = make_policy({"example.com"});
  without.dns.resolvers = {{resolver().address(), Port{53}}};
  replace(without);
  turn.release();
  child.wait();
  EXPECT_THAT(granted_addresses(), IsEmpty());
}

// ---- a resolver behind translation, as Docker's 127.0.0.11 is ----

class TranslatedResolver : public WorkloadTest {
 protected:
  static constexpr std::uint16_t kRealPort = 43210;
  void SetUp() override {
    WorkloadTest::SetUp();
    if (HasFatalFailure()) return;
    real_ = std::make_unique<DnsServer>(std::vector{SocketAddress(ip("127.0.0.11"), kRealPort)}, zone_.answerer());
    run_command({"nft",
                 "add table ip nwharness; add chain ip nwharness out { type nat hook output priority -100; }; "
                 "add rule ip nwharness out ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:43210"});
    auto policy = make_policy({"example.com", "udp://192.0.2.1:443"});
    policy.dns.resolvers = {{ip("127.0.0.11"), Port{53}}};
    arm(policy);
  }
  const SocketAddress at_{ip("127.0.0.11"), 53};
  std::unique_ptr<DnsServer> real_;
};

TEST_F(TranslatedResolver, AnswersAndTeaches) {
  zone_.add("example.com", ip("192.0.2.9"));
  real_->answer_with(zone_.answerer());
  EXPECT_TRUE(in_cgroup(cgroup_, [&] { return look_up(at_, "example.com"); }).delivered());
  EXPECT_THAT(granted_addresses(), testing::ElementsAre("192.0.2.9"));
}

TEST_F(TranslatedResolver, SocketThatWasOnAnotherPortOfAnAllowedAddressAsksNoOtherName) {
  for (const char* left : {"connected elsewhere", "disconnected", "connected to the port that is allowed"}) {
    in_cgroup(cgroup_, [&] {
      const auto client = make_socket(AF_INET, SOCK_DGRAM);
      const SocketAddress probe(ip(kServer), 80), allowed(ip(kServer), 443);
      connect(client.get(), probe.get(), probe.length);
      const sockaddr unspecified{AF_UNSPEC, {}};
      if (left[0] == 'd') connect(client.get(), &unspecified, sizeof(unspecified));
      if (std::string(left).find("port") != std::string::npos) connect(client.get(), allowed.get(), allowed.length);
      const auto question = make_question(77, "s3cr3t.evil", 1);
      sendto(client.get(), question.data(), question.size(), 0, at_.get(), at_.length);
    });
    std::this_thread::sleep_for(milliseconds(20));
    EXPECT_EQ(real_->questions_for("s3cr3t.evil"), 0u) << left;
  }
}

// Asks `resolver`, and answers itself from the resolver's address by `forger`.
void answer_own_question(const SocketAddress& resolver, int forger) {
  const SocketAddress client_at(ip("127.0.0.1"), 40077);
  const auto client = bound(client_at, SOCK_DGRAM);
  const auto question = make_question(77, "example.com", 1);
  sendto(client.get(), question.data(), question.size(), 0, resolver.get(), resolver.length);
  const Bytes answer = make_answer(question, {{"example.com", 600, "", ip(kEvil)}});
  send_from(forger, resolver.address(), client_at, std::as_bytes(std::span(answer)));
  receive(client.get(), milliseconds(100));
}

TEST_F(TranslatedResolver, OwnSocketOnItsRealPortCannotAnswerForIt) {
  real_->answer_with([](const ReceivedQuestion&) { return std::vector<Reply>{}; });
  in_cgroup(cgroup_, [&] { answer_own_question(at_, bound({ip("127.0.0.5"), kRealPort}, SOCK_DGRAM).get()); });
  EXPECT_EQ(real_->questions_for("example.com"), 1u);
  EXPECT_THAT(granted_addresses(), IsEmpty());
  EXPECT_EQ(tcp_inside(ip(kEvil)), ECONNREFUSED);
}

class ResolverOnAHighPort : public WorkloadTest {};

TEST_F(ResolverOnAHighPort, PortThatTheKernelChoseCannotAnswerForIt) {
  const SocketAddress at(ip("127.0.0.1"), 45053);
  DnsServer silent({at}, [](const ReceivedQuestion&) { return std::vector<Reply>{}; });
  auto policy = make_policy({"example.com"});
  policy.dns.resolvers = {{at.address(), Port{at.port()}}};
  arm(policy);
  const int port = in_cgroup(cgroup_, [&] {
    const auto forger = make_socket(AF_INET, SOCK_DGRAM);
    const std::uint32_t range = 45053u << 16 | 45053u;
    setsockopt(forger.get(), IPPROTO_IP, 51 /* IP_LOCAL_PORT_RANGE */, &range, sizeof(range));
    SocketAddress any_port(ip("127.0.0.2"), 0), own;
    bind(forger.get(), any_port.get(), any_port.length);
    own.length = sizeof(own.storage);
    getsockname(forger.get(), own.get(), &own.length);
    answer_own_question(at, forger.get());
    return static_cast<int>(own.port());
  });
  RecordProperty("port", port);
  EXPECT_THAT(granted_addresses(), IsEmpty()) << "from port " << port;
}

// ---- two destinations, read half and half ----

class TornDestination : public WorkloadTest {};

TEST_F(TornDestination, DisconnectWhileSendingReachesNothingNear) {
  arm(make_policy({"udp://192.0.2.1:443"}));
  const auto loopback = bound({ip("127.0.0.1"), 443}, SOCK_DGRAM), near = bound({ip("10.77.0.2"), 443}, SOCK_DGRAM);
  for (const char* source : {"0.0.0.0", "10.77.0.2"}) {
    in_cgroup(cgroup_, [&] {
      const SocketAddress to(ip(kServer), 443), from(ip(source), 0);
      const sockaddr unspecified{AF_UNSPEC, {}};
      std::atomic<int> current{-1};
      std::atomic<bool> stop{false};
      std::thread sender([&] {
        while (!stop) {
          if (const int s = current; s >= 0) send(s, "x", 1, MSG_DONTWAIT);
        }
      });
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
      while (std::chrono::steady_clock::now() < end) {
        const auto s = bound(from, SOCK_DGRAM);
        connect(s.get(), to.get(), to.length);
        current = s.get();
        for (int i = 0; i < 200; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
        connect(s.get(), &unspecified, sizeof(unspecified));
        current = -1;
      }
      stop = true;
      sender.join();
    });
    EXPECT_FALSE(receive(loopback.get(), milliseconds(20))) << source;
    EXPECT_FALSE(receive(near.get(), milliseconds(20))) << source;
  }
}

TEST_F(TornDestination, ConnectsInTwoThreadsReachNoThirdDestination) {
  std::unique_ptr<DnsServer> third;
  network_.in_far([&] {
    third = std::make_unique<DnsServer>(std::vector{SocketAddress(ip("192.0.2.1"), 1230)},
                                        [](const ReceivedQuestion&) { return std::vector<Reply>{}; });
  });
  arm(make_policy({"udp://192.0.2.1:443", "udp://192.0.2.2:1230"}));
  in_cgroup(cgroup_, [] {
    const auto s = make_socket(AF_INET, SOCK_DGRAM);
    const SocketAddress one(ip("192.0.2.1"), 443), two(ip("192.0.2.2"), 1230);
    std::atomic<bool> stop{false};
    std::thread flip([&] {
      while (!stop) connect(s.get(), one.get(), one.length), connect(s.get(), two.get(), two.length);
    });
    const auto question = make_question(77, "torn.example", 1);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(4);
    while (std::chrono::steady_clock::now() < end) send(s.get(), question.data(), question.size(), MSG_DONTWAIT);
    stop = true;
    flip.join();
  });
  EXPECT_EQ(third->questions_for("torn.example"), 0u);
}

// ---- what comes in ----

class UnaskedInbound : public WorkloadTest {};

TEST_F(UnaskedInbound, EchoReplyOfAStrangerDoesNotArrive) {
  arm(make_policy({"icmp://192.0.2.1"}));
  Rendezvous turn;
  std::uint16_t id = 0x4e57;
  WorkloadProcess child(cgroup_, [&] {
    const auto ping = make_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    const SocketAddress at(ip("0.0.0.0"), id);
    if (bind(ping.get(), at.get(), at.length) != 0) return std::string("bind");
    turn.arrive_and_wait();
    return std::string(receive(ping.get(), milliseconds(200)) ? "received" : "nothing");
  });
  ASSERT_TRUE(turn.await_arrival());
  network_.in_far([&] {
    const auto raw = make_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    Bytes reply = {0, 0, 0, 0, static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id), 0, 1};
    const unsigned sum = id + 1u;
    reply[2] = static_cast<std::uint8_t>(~sum >> 8), reply[3] = static_cast<std::uint8_t>(~sum);
    const SocketAddress to(ip("10.77.0.2"), 0);
    sendto(raw.get(), reply.data(), reply.size(), 0, to.get(), to.length);
  });
  turn.release();
  EXPECT_EQ(child.wait(), "nothing");
}

TEST_F(UnaskedInbound, DatagramOfAStrangerDoesNotArriveWhileTheSocketConnects) {
  arm(make_policy({"udp://192.0.2.1:443"}));
  std::atomic<bool> stop{false};
  std::thread flood;
  network_.in_far([&] {
    flood = std::thread([&] {
      const auto s = make_socket(AF_INET, SOCK_DGRAM);
      const SocketAddress to(ip("10.77.0.2"), 9000);
      while (!stop) sendto(s.get(), "x", 1, 0, to.get(), to.length);
    });
  });
  const int received = in_cgroup(cgroup_, [] {
    const auto s = bound({ip("0.0.0.0"), 9000}, SOCK_DGRAM);
    const SocketAddress peer(ip(kServer), 443);
    const sockaddr unspecified{AF_UNSPEC, {}};
    int count = 0;
    char byte;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
    while (std::chrono::steady_clock::now() < end) {
      connect(s.get(), peer.get(), peer.length);
      connect(s.get(), &unspecified, sizeof(unspecified));
      while (recv(s.get(), &byte, 1, MSG_DONTWAIT) >= 0) ++count;
    }
    return count;
  });
  stop = true;
  flood.join();
  EXPECT_EQ(received, 0);
}

}  // namespace
}  // namespace namewall::kernel_tests
