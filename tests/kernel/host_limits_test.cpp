// What the host denies, by the real programs: UDP off, nothing listens, low loopback ports, private networks; and what
// goes on working under all of it.
#include <fcntl.h>
#include <unistd.h>

#include "policy/host_loader.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

OwnedFd bind_anywhere(int type, const Address& address, std::uint16_t port, int* error) {
  const SocketAddress at(address, port);
  auto opened = make_socket(at.family(), type);
  const bool is_bound = bind(opened.get(), at.get(), at.length) == 0;
  const bool listens = is_bound && (type != SOCK_STREAM || listen(opened.get(), 4) == 0);
  *error = listens ? 0 : errno;
  return opened;
}

std::uint16_t port_of(const OwnedFd& opened) {
  SocketAddress own;
  own.length = sizeof(own.storage);
  getsockname(opened.get(), own.get(), &own.length);
  return own.port();
}

class HostLimits : public WorkloadTest {
 protected:
  void arm_below(const std::string& host, const Policy& policy) {
    const auto loaded = load_host_policy(host, Format::kToml, "host.toml");
    ASSERT_TRUE(loaded.ok()) << loaded.diagnostics.front().to_string();
    bpf::ArmOptions options;
    options.trusted_netns = {*bpf::netns_cookie()};
    const auto armed = enforcer_->arm(cgroup_.fd(), compile(policy, loaded.value), options);
    ASSERT_TRUE(armed) << armed.error().message();
    workload_ = *armed;
  }
};

TEST_F(HostLimits, UdpOffRefusesWhatIsSentAndNotWhatSortsAddresses) {
  zone_.add("open.test", ip("192.0.2.1"), 60);
  serve_zone();
  arm_below("[limits]\nudp = \"deny\"\n",
            make_policy({"*://open.test:443", "*://192.0.2.7:443", "udp://192.0.2.9:443"}));
  ASSERT_TRUE(look_up_inside("open.test").delivered());
  for (const char* address : {"192.0.2.1", "192.0.2.7"}) {
    EXPECT_EQ(in_cgroup(cgroup_, [&] { return udp_connect(ip(address), 443); }), 0) << address;
    EXPECT_EQ(in_cgroup(cgroup_, [&] { return udp_connect(ip(address), 1); }), 0) << "glibc sorts with any port";
    EXPECT_EQ(tcp_inside(ip(address)), 0) << address;
  }
  EXPECT_THAT(take_reasons(), IsEmpty());
  for (const char* address : {"192.0.2.1", "192.0.2.7"}) {
    EXPECT_NE(in_cgroup(cgroup_, [&] { return udp_connect_and_send(ip(address), 443); }), 0) << address;
    EXPECT_EQ(in_cgroup(cgroup_, [&] { return udp_send_to(ip(address), 443); }), ECONNREFUSED) << address;
  }
  EXPECT_EQ(in_cgroup(cgroup_, [&] { return udp_connect(ip("192.0.2.9"), 443); }), ECONNREFUSED) << "open on no port";
  EXPECT_EQ(in_cgroup(cgroup_, [&] { return udp_connect(ip("127.0.0.1"), 443); }), ECONNREFUSED);
  EXPECT_THAT(take_reasons(),
              ElementsAre("host_deny", "host_deny", "host_deny", "host_deny", "host_deny", "host_deny"));
  EXPECT_EQ(far_->datagrams(), 0u);
  ASSERT_TRUE(look_up_inside("open.test").delivered());
}

// The connect that sorts addresses is no way around a host deny for who was sent a datagram by the peer.
TEST_F(HostLimits, AHostDeniedPeerMayNotBeAnswered) {
  auto policy = make_policy({"tcp://192.0.2.1:443"});
  policy.listen = PortSet({{Protocol::kUdp, Port{5000}, Port{5000}}});
  arm_below("deny = [\"udp://192.0.2.1:*\"]\n", policy);
  OwnedFd peer;
  network_.in_far([&] {
    int error = 0;
    peer = bind_anywhere(SOCK_DGRAM, ip("192.0.2.1"), 7777, &error);
    ASSERT_EQ(error, 0);
  });
  Rendezvous bound;
  WorkloadProcess inside(cgroup_, [&] {
    int error = 0;
    const auto opened = bind_anywhere(SOCK_DGRAM, ip("10.77.0.2"), 5000, &error);
    bound.arrive_and_wait();
    const bool received = receive(opened.get(), milliseconds(2000)).has_value();
    const SocketAddress to(ip("192.0.2.1"), 7777);
    const int connected = connect(opened.get(), to.get(), to.length) == 0 ? 0 : errno;
    const int sent = connected == 0 && send(opened.get(), "pong", 4, 0) == 4;
    return std::to_string(error) + (received ? " received" : " nothing") + (sent ? " sent" : " refused");
  });
  ASSERT_TRUE(bound.await_arrival());
  const SocketAddress to(ip("10.77.0.2"), 5000);
  ASSERT_EQ(sendto(peer.get(), "ping", 4, 0, to.get(), to.length), 4);
  bound.release();
  EXPECT_EQ(inside.wait(), "0 received refused");
  EXPECT_FALSE(receive(peer.get(), milliseconds(100)).has_value());
}

// The connect that sorts addresses opens nothing to what the peer sends by itself.
TEST_F(HostLimits, AHostDeniedPeerIsNotHeardByASocketThatSortedIt) {
  arm_below("deny = [\"udp://192.0.2.1:*\"]\n", make_policy({"tcp://192.0.2.1:443", "udp://192.0.2.2:7777"}));
  OwnedFd denied, open;
  network_.in_far([&] {
    int error = 0;
    denied = bind_anywhere(SOCK_DGRAM, ip("192.0.2.1"), 7777, &error);
    ASSERT_EQ(error, 0);
    open = bind_anywhere(SOCK_DGRAM, ip("192.0.2.2"), 7777, &error);
    ASSERT_EQ(error, 0);
  });
  int told[2];
  ASSERT_EQ(pipe(told), 0);
  const OwnedFd port_reader(told[0]), port_writer(told[1]);
  Rendezvous connected;
  WorkloadProcess inside(cgroup_, [&] {
    std::vector<OwnedFd> sockets;
    for (const char* address : {"192.0.2.1", "192.0.2.2"}) {
      const SocketAddress to(ip(address), 7777);
      sockets.push_back(make_socket(AF_INET, SOCK_DGRAM));
      if (connect(sockets.back().get(), to.get(), to.length) != 0) return std::string("not connected");
      const std::uint16_t port = port_of(sockets.back());
      if (write(port_writer.get(), &port, sizeof(port)) != sizeof(port)) return std::string("not told");
    }
    connected.arrive_and_wait();
    const bool hears_denied = receive(sockets[0].get(), milliseconds(300)).has_value();
    const bool hears_open = receive(sockets[1].get(), milliseconds(2000)).has_value();
    return std::string(hears_denied ? "heard" : "nothing") + (hears_open ? " heard" : " nothing");
  });
  ASSERT_TRUE(connected.await_arrival());
  for (const OwnedFd* peer : {&denied, &open}) {
    std::uint16_t port = 0;
    ASSERT_EQ(read(port_reader.get(), &port, sizeof(port)), static_cast<ssize_t>(sizeof(port)));
    const SocketAddress to(ip("10.77.0.2"), port);
    ASSERT_EQ(sendto(peer->get(), "call", 4, 0, to.get(), to.length), 4);
  }
  connected.release();
  EXPECT_EQ(inside.wait(), "nothing heard");
}

TEST_F(HostLimits, NothingListens) {
  auto policy = make_policy({});
  policy.listen = PortSet({{Protocol::kTcp, Port{8080}, Port{8080}}, {Protocol::kUdp, Port{8080}, Port{8080}}});
  for (const Loopback loopback : {Loopback::kOwn, Loopback::kAny}) {
    policy.loopback = loopback;
    arm_below("[limits]\nlisten = \"deny\"\n", policy);
    const auto bind_inside = [&](const char* address) {
      return in_cgroup(cgroup_, [&] {
        int error = 0;
        bind_anywhere(SOCK_STREAM, ip(address), 8080, &error);
        return error;
      });
    };
    for (const char* address : {"0.0.0.0", "127.0.0.1", "::1", "10.77.0.2"}) EXPECT_EQ(bind_inside(address), EACCES);
    EXPECT_THAT(take_reasons(), ElementsAre("bind_port", "bind_port", "bind_port", "bind_port"));
    // A port that the kernel chose, and listened on.
    Rendezvous listening;
    int told[2];
    ASSERT_EQ(pipe(told), 0);
    const OwnedFd port_reader(told[0]), port_writer(told[1]);
    WorkloadProcess inside(cgroup_, [&] {
      int error = 0;
      const auto server = bind_anywhere(SOCK_STREAM, ip("0.0.0.0"), 0, &error);
      const auto datagrams = bind_anywhere(SOCK_DGRAM, ip("0.0.0.0"), 8080, &error);
      const int own = tcp_connect(ip("127.0.0.1"), port_of(server), milliseconds(200));
      udp_send_to(ip("127.0.0.1"), 8080);
      const std::uint16_t chosen = port_of(server);
      if (write(port_writer.get(), &chosen, sizeof(chosen)) != sizeof(chosen)) return std::string("not told");
      listening.arrive_and_wait();
      const bool received = receive(datagrams.get(), milliseconds(200)).has_value();
      fcntl(server.get(), F_SETFL, O_NONBLOCK);
      const bool accepted = accept4(server.get(), nullptr, nullptr, 0) >= 0;
      return std::string(own != 0 ? "refused" : "reached") + (received ? " received" : "") +
             (accepted ? " accepted" : "");
    });
    ASSERT_TRUE(listening.await_arrival());
    std::uint16_t port = 0;
    ASSERT_EQ(read(port_reader.get(), &port, sizeof(port)), static_cast<ssize_t>(sizeof(port)));
    EXPECT_NE(tcp_connect(ip("127.0.0.1"), port, milliseconds(200)), 0);
    network_.in_far([&] {
      EXPECT_NE(tcp_connect(ip("10.77.0.2"), port, milliseconds(200)), 0);
      udp_send_to(ip("10.77.0.2"), 8080);
    });
    udp_send_to(ip("127.0.0.1"), 8080);
    listening.release();
    // Loopback is an address that may be reached with `any`: its datagrams are as good as answers.
    EXPECT_EQ(inside.wait(), loopback == Loopback::kAny ? "refused received" : "refused");
    take_events();
    ASSERT_TRUE(enforcer_->disarm(cgroup_.fd(), workload_));
  }
}

TEST_F(HostLimits, LowLoopbackPortsAreRefusedAndHighOnesAreThePolicys) {
  std::vector<OwnedFd> servers;
  for (const char* address : {"127.0.0.1", "::1"}) {
    for (const std::uint16_t port : std::array<std::uint16_t, 3>{80, 1023, 1024}) {
      int error = 0;
      servers.push_back(bind_anywhere(SOCK_STREAM, ip(address), port, &error));
      ASSERT_EQ(error, 0);
    }
  }
  auto policy = make_policy({"*://127.0.0.0/8:*", "*://[::1]:*"});
  policy.loopback = Loopback::kAny;
  arm_below("[limits]\nloopback_low_ports = \"deny\"\n", policy);
  for (const char* address : {"127.0.0.1", "::1", "0.0.0.0", "::"}) {
    EXPECT_EQ(tcp_inside(ip(address), 80), ECONNREFUSED) << address;
    EXPECT_EQ(tcp_inside(ip(address), 1023), ECONNREFUSED) << address;
    EXPECT_EQ(in_cgroup(cgroup_, [&] { return udp_send_to(ip(address), 80); }), ECONNREFUSED) << address;
    EXPECT_THAT(take_reasons(), ElementsAre("host_deny", "host_deny", "host_deny")) << address;
    EXPECT_EQ(tcp_inside(ip(address), 1024), 0) << address;
  }
  zone_.add("open.test", ip("192.0.2.1"), 60);
  serve_zone();
  EXPECT_FALSE(look_up_inside("open.test").delivered()) << "no rule has the name";
  EXPECT_THAT(take_reasons(), ElementsAre("name_not_allowed")) << "the resolver on 127.0.0.53:53 was asked";
}

TEST_F(HostLimits, PrivateNetworksAreClosedToRulesAndNamesAlike) {
  zone_.add("intranet.test", ip("10.1.2.3"), 60);
  zone_.add("intranet.test", ip("fd00::5"), 60);
  serve_zone();
  auto policy = make_policy({"*://intranet.test:443?private", "*://10.0.0.0/8:*", "tcp://127.0.0.1:8080"});
  arm_below("block_networks = [\"private\"]\n[limits]\nudp = \"deny\"\nloopback_low_ports = \"deny\"\n", policy);
  for (const SocketAddress& one : {resolver(), far_resolver(), far_resolver6()}) {
    EXPECT_TRUE(in_cgroup(cgroup_, [&] { return look_up(one, "intranet.test"); }).delivered())
        << one.address().to_string() << " is a trusted resolver";
  }
  ASSERT_TRUE(look_up_inside("intranet.test", 28).delivered());
  for (const char* address : {"10.1.2.3", "10.9.9.9", "fd00::5", "169.254.169.254"}) {
    EXPECT_EQ(tcp_inside(ip(address)), ECONNREFUSED) << address;
    EXPECT_EQ(in_cgroup(cgroup_, [&] { return udp_connect(ip(address), 443); }), ECONNREFUSED) << address;
    EXPECT_THAT(take_reasons(), ElementsAre("host_deny", "host_deny")) << address;
  }
  // A resolver is open on its own port, so that connecting there, which sends nothing, sorts addresses.
  EXPECT_EQ(tcp_inside(ip("10.77.0.1")), ECONNREFUSED);
  EXPECT_EQ(in_cgroup(cgroup_, [&] { return udp_connect(ip("10.77.0.1"), 443); }), 0);
  EXPECT_NE(in_cgroup(cgroup_, [&] { return udp_connect_and_send(ip("10.77.0.1"), 443); }), 0);
  EXPECT_THAT(take_reasons(), ElementsAre("host_deny", "host_deny"));
  // The own loopback is left, others' is not.
  int error = 0;
  const auto foreign = bind_anywhere(SOCK_STREAM, ip("127.0.0.1"), 8080, &error);
  EXPECT_EQ(tcp_inside(ip("127.0.0.1"), 8080), ECONNREFUSED);
  EXPECT_THAT(take_reasons(), ElementsAre("loopback"));
  EXPECT_EQ(in_cgroup(cgroup_,
                      [&] {
                        const auto own = bind_anywhere(SOCK_STREAM, ip("127.0.0.1"), 0, &error);
                        return tcp_connect(ip("127.0.0.1"), port_of(own), milliseconds(300));
                      }),
            0);
}

}  // namespace
}  // namespace namewall::kernel_tests
