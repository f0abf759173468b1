// What leaves a workload that nftables hold: refused at once unless a set has it.
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tests/kernel/support/nft_test.h"

namespace namewall::kernel_tests {
namespace {

using nft::SetId;
using std::chrono::steady_clock;

class NftOutput : public NftTest {};

struct Refusal {
  int error = 0;
  long long microseconds = 0;
};

TEST_F(NftOutput, RefusesTcpAtOnceWhereNoSetHasIt) {
  for (const char* address : {"192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"}) {
    const auto refusal = in_cgroup(cgroup_, [&] {
      const SocketAddress to(ip(address), 443);
      const auto client = make_socket(to.family(), SOCK_STREAM);
      const auto began = steady_clock::now();
      Refusal outcome;
      if (connect(client.get(), to.get(), to.length) != 0) outcome.error = errno;
      outcome.microseconds = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - began).count();
      return outcome;
    });
    EXPECT_EQ(refusal.error, ECONNREFUSED) << address;
    EXPECT_LT(refusal.microseconds, 50'000) << address;
  }
  EXPECT_EQ(far_->connections(), 0u);
  EXPECT_EQ(refused(), 4u);
}

TEST_F(NftOutput, RefusesDatagramsAtTheSend) {
  for (const char* address : {"192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"})
    EXPECT_EQ(udp_inside(address), EPERM) << address;
  EXPECT_EQ(far_->datagrams(), 0u);
}

TEST_F(NftOutput, LeavesOthersAlone) {
  EXPECT_EQ(tcp_connect(ip("192.0.2.1"), 443), 0);
  EXPECT_EQ(udp_send_to(ip("2001:db8::1"), 443), 0);
  const ThrowawayCgroup neighbour;
  EXPECT_EQ(in_cgroup(neighbour, [] { return tcp_connect(ip("192.0.2.1"), 443); }), 0);
}

TEST_F(NftOutput, LetsLearnedEndpointsPassOnTheirPortOnly) {
  table_->add({learned(place_.id, "tcp 192.0.2.1:443"), learned(place_.id, "tcp [2001:db8::1]:443"),
               learned(place_.id, "udp 192.0.2.1:123"), learned(place_.id, "udp [2001:db8::1]:123")});
  for (const char* address : {"192.0.2.1", "2001:db8::1"}) {
    EXPECT_EQ(tcp_inside(address, 443), 0);
    EXPECT_EQ(tcp_inside(address, 80), ECONNREFUSED);
    EXPECT_EQ(tcp_inside(address, 123), ECONNREFUSED);
    EXPECT_EQ(udp_inside(address, 123), 0);
    EXPECT_EQ(udp_inside(address, 443), EPERM);
  }
  EXPECT_EQ(tcp_inside("192.0.2.2"), ECONNREFUSED);
}

TEST_F(NftOutput, OneWorkloadsGrantsAreNotItsNeighbours) {
  const ThrowawayCgroup neighbour;
  enforce(place_of(neighbour).id, kToken + 1);
  table_->add({learned(place_of(neighbour).id, "tcp 192.0.2.1:443")});
  EXPECT_EQ(tcp_inside("192.0.2.1"), ECONNREFUSED);
}

TEST_F(NftOutput, HoldsProcessesInCgroupsBelowTheWorkload) {
  table_->add({learned(place_.id, "tcp 192.0.2.1:443")});
  const ThrowawayCgroup below(cgroup_);
  EXPECT_EQ(in_cgroup(below, [] { return tcp_connect(ip("192.0.2.1"), 443); }), 0);
  EXPECT_EQ(in_cgroup(below, [] { return tcp_connect(ip("192.0.2.2"), 443); }), ECONNREFUSED);
}

TEST_F(NftOutput, LetsFixedRangesPass) {
  table_->add({fixed(place_.id, "tcp 192.0.2.16:440", "tcp 192.0.2.31:450"),
               fixed(place_.id, "udp [2001:db8::10]:443", "udp [2001:db8::1f]:443")});
  EXPECT_EQ(tcp_inside("192.0.2.31", 443), 0);
  EXPECT_EQ(tcp_inside("192.0.2.32", 443), ECONNREFUSED);
  EXPECT_EQ(tcp_inside("192.0.2.31", 80), ECONNREFUSED);
  EXPECT_EQ(udp_inside("2001:db8::1f", 443), 0);
  EXPECT_EQ(udp_inside("2001:db8::20", 443), EPERM);
}

TEST_F(NftOutput, LetsWidePortSetsPass) {
  const auto key = endpoint(place_.id, "tcp 192.0.2.1:0");
  table_->add({{.set = SetId::kWide2_4,
                .key = nft::encode_address(place_.id, key.address, IPPROTO_TCP),
                .timeout = std::chrono::hours(1)},
               {.set = SetId::kWide2_4,
                .key = nft::encode_address(place_.id, key.address, IPPROTO_UDP),
                .timeout = std::chrono::hours(1)},
               {.set = SetId::kWidePorts2,
                .key = nft::encode_port(place_.id, IPPROTO_TCP, 400),
                .key_end = nft::encode_port(place_.id, IPPROTO_TCP, 500)},
               {.set = SetId::kWidePorts2,
                .key = nft::encode_port(place_.id, IPPROTO_UDP, 100),
                .key_end = nft::encode_port(place_.id, IPPROTO_UDP, 200)}});
  EXPECT_EQ(tcp_inside("192.0.2.1", 443), 0);
  EXPECT_EQ(tcp_inside("192.0.2.1", 80), ECONNREFUSED);
  EXPECT_EQ(tcp_inside("192.0.2.2", 443), ECONNREFUSED);
  EXPECT_EQ(udp_inside("192.0.2.1", 123), 0);
  EXPECT_EQ(udp_inside("192.0.2.1", 443), EPERM);
  // One entry for the address, however many ports are tried.
  EXPECT_EQ(table_->count(SetId::kFlows4), 1u);
  EXPECT_EQ(table_->count(SetId::kAsked4), 1u);
}

// A process of the workload that opens a connection, and uses it again when the test says so. The other end is a socket
// that nobody accepts from: the kernel acknowledges for it.
class FlowThatLives {
 public:
  static constexpr std::uint16_t kPort = 8080;

  FlowThatLives(const Network& network, const ThrowawayCgroup& cgroup, const std::string& address)
      : listener_(listen_far(network)), process_(cgroup, [this, address] {
          const SocketAddress to(ip(address), kPort);
          const auto client = make_socket(to.family(), SOCK_STREAM);
          if (connect(client.get(), to.get(), to.length) != 0) return std::string("no connection");
          turn_.arrive_and_wait();
          // As many as it takes to renew an entry.
          const int yes = 1;
          setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
          for (int i = 0; i < 20; ++i) send(client.get(), "x", 1, MSG_NOSIGNAL);
          return std::string(is_acknowledged(client.get()) ? "alive" : "dead");
        }) {
    EXPECT_TRUE(turn_.await_arrival());
  }
  std::string use() {
    turn_.release();
    return process_.wait();
  }

 private:
  static OwnedFd listen_far(const Network& network) {
    OwnedFd listener;
    network.in_far([&] {
      listener = make_socket(AF_INET6, SOCK_STREAM);
      const SocketAddress at(ip("::"), kPort);
      if (bind(listener.get(), at.get(), at.length) != 0 || listen(listener.get(), 4) != 0)
        ADD_FAILURE() << std::strerror(errno);
    });
    return listener;
  }
  static bool is_acknowledged(int socket) {
    for (int i = 0; i < 100; ++i) {
      tcp_info info{};
      socklen_t length = sizeof(info);
      if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 || info.tcpi_state != TCP_ESTABLISHED)
        return false;
      if (info.tcpi_unacked == 0) return true;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return false;
  }
  OwnedFd listener_;
  Rendezvous turn_;
  WorkloadProcess process_;
};

TEST_F(NftOutput, EstablishedFlowsSurviveTheExpiryOfTheirGrant) {
  for (const char* address : {"192.0.2.1", "2001:db8::1"}) {
    const std::string text = address[3] == '.' ? "tcp 192.0.2.1:8080" : "tcp [2001:db8::1]:8080";
    const auto grant = learned(place_.id, text);
    table_->add({grant});
    FlowThatLives flow(network_, cgroup_, address);
    table_->remove({grant});
    EXPECT_EQ(flow.use(), "alive") << address;
    EXPECT_EQ(tcp_inside(address, 8080), ECONNREFUSED) << "a new one: " << address;
  }
}

TEST_F(NftOutput, FlowsThatNoSetHasAreCut) {
  const auto grant = learned(place_.id, "tcp 192.0.2.1:8080");
  table_->add({grant});
  FlowThatLives flow(network_, cgroup_, "192.0.2.1");
  table_->remove({grant});
  table_->remove(table_->list(SetId::kFlows4));
  EXPECT_EQ(flow.use(), "dead");
}

TEST_F(NftOutput, AFlowFromBeforeThePolicyGoesOnWhereItIsAllowed) {
  for (const char* text : {"tcp 192.0.2.1:8080", "tcp [2001:db8::1]:8080"}) table_->add({learned(place_.id, text)});
  for (const char* address : {"192.0.2.1", "2001:db8::1"}) {
    const auto flows = address[3] == '.' ? SetId::kFlows4 : SetId::kFlows6;
    FlowThatLives flow(network_, cgroup_, address);
    table_->remove(table_->list(flows));
    EXPECT_EQ(flow.use(), "alive");
    EXPECT_EQ(table_->count(flows), 1u) << "expiry will not touch it either";
  }
}

TEST_F(NftOutput, FlowsByAFixedRuleEndWithIt) {
  const auto rule = fixed(place_.id, "tcp 192.0.2.1:8080");
  table_->add({rule});
  FlowThatLives flow(network_, cgroup_, "192.0.2.1");
  EXPECT_EQ(table_->count(SetId::kFlows4), 0u);
  table_->remove({rule});
  EXPECT_EQ(flow.use(), "dead");
}

TEST_F(NftOutput, PacketsOfAFlowRenewItsEntry) {
  table_->add({learned(place_.id, "tcp 192.0.2.1:8080")});
  FlowThatLives flow(network_, cgroup_, "192.0.2.1");
  std::this_thread::sleep_for(milliseconds(1200));
  const auto before = table_->list(SetId::kFlows4);
  ASSERT_EQ(before.size(), 1u);
  EXPECT_EQ(before[0].key, nft::encode(endpoint(place_.id, "tcp 192.0.2.1:8080")));
  EXPECT_EQ(flow.use(), "alive");
  const auto after = table_->list(SetId::kFlows4);
  ASSERT_EQ(after.size(), 1u);
  EXPECT_GT(*after[0].expires, *before[0].expires);
  EXPECT_EQ(*after[0].timeout, nft::kFlowKept);
}

TEST_F(NftOutput, ADatagramIsJudgedEachTime) {
  const auto grant = learned(place_.id, "udp 192.0.2.1:443");
  table_->add({grant});
  Rendezvous turn;
  WorkloadProcess process(cgroup_, [&] {
    const SocketAddress to(ip("192.0.2.1"), 443);
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    if (connect(client.get(), to.get(), to.length) != 0 || send(client.get(), "x", 1, 0) != 1)
      return std::string("first");
    turn.arrive_and_wait();
    return std::string(send(client.get(), "x", 1, 0) < 0 && errno == EPERM ? "refused" : "sent");
  });
  ASSERT_TRUE(turn.await_arrival());
  table_->remove({grant});
  turn.release();
  EXPECT_EQ(process.wait(), "refused");
}

TEST_F(NftOutput, APermittedPeerMayAnswerDatagrams) {
  const auto grant = learned(place_.id, "udp 192.0.2.1:443");
  table_->add({grant});
  EXPECT_EQ(in_cgroup(cgroup_,
                      [] {
                        const SocketAddress to(ip("192.0.2.1"), 443);
                        const auto client = make_socket(AF_INET, SOCK_DGRAM);
                        sendto(client.get(), "x", 1, 0, to.get(), to.length);
                        return receive(client.get(), milliseconds(500)).has_value() ? 1 : 0;
                      }),
            1);
  EXPECT_EQ(table_->count(SetId::kAsked4), 1u);
}

int ping(const std::string& address) {
  const SocketAddress to(ip(address), 0);
  const bool is_v6 = to.family() == AF_INET6;
  const auto client = make_socket(to.family(), SOCK_DGRAM, is_v6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP});
  if (!client) return 1000 + errno;
  const unsigned char echo[8] = {static_cast<unsigned char>(is_v6 ? 128 : 8), 0, 0, 0, 0, 0, 0, 1};
  if (sendto(client.get(), echo, sizeof(echo), 0, to.get(), to.length) < 0) return errno;
  return receive(client.get(), milliseconds(500)) ? 0 : ETIMEDOUT;
}

TEST_F(NftOutput, PingsGoWhereTheyAreAllowed) {
  table_->add({learned(place_.id, "icmp 192.0.2.1"), fixed(place_.id, "icmp 2001:db8::1"),
               fixed(place_.id, "tcp 192.0.2.2:0", "tcp 192.0.2.2:65535")});
  EXPECT_EQ(in_cgroup(cgroup_, [] { return ping("192.0.2.1"); }), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return ping("2001:db8::1"); }), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return ping("192.0.2.2"); }), EPERM);
  EXPECT_NE(in_cgroup(cgroup_, [] { return ping("2001:db8::2"); }), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return ping("127.0.0.1"); }), EPERM);
}

}  // namespace
}  // namespace namewall::kernel_tests
