// Questions that go to the DNS proxy: the programs see their resolver, whatever they use.
#include <net/if.h>

#include <algorithm>

#include "tests/kernel/support/control_message.h"
#include "tests/kernel/support/sniffer.h"
#include "tests/kernel/support/test_proxy.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

std::string to_text(const SocketAddress& address) {
  return address.address().to_string() + " " + std::to_string(address.port());
}

std::string peer_of(int socket) {
  SocketAddress peer;
  peer.length = sizeof(peer.storage);
  if (getpeername(socket, peer.get(), &peer.length) != 0) return std::strerror(errno);
  return to_text(peer);
}

// Sends a question by sendto and returns whom the answer comes from.
std::string ask_unconnected(int socket, const SocketAddress& to, std::uint16_t id = 7) {
  const auto question = make_question(id, "example.com", 1);
  if (sendto(socket, question.data(), question.size(), 0, to.get(), to.length) < 0) return std::strerror(errno);
  const timeval patience{0, 500'000};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  Bytes bytes(4096);
  SocketAddress from;
  from.length = sizeof(from.storage);
  const ssize_t n = recvfrom(socket, bytes.data(), bytes.size(), 0, from.get(), &from.length);
  return n < 0 ? "no answer" : to_text(from);
}

std::string ask_over_tcp(const SocketAddress& to, std::string* peer = nullptr) {
  const auto client = make_socket(to.family(), SOCK_STREAM);
  if (connect(client.get(), to.get(), to.length) != 0) return std::strerror(errno);
  if (peer != nullptr) *peer = peer_of(client.get());
  const auto question = make_question(9, "example.com", 1);
  Bytes framed{0, static_cast<std::uint8_t>(question.size())};
  framed.insert(framed.end(), question.begin(), question.end());
  if (send(client.get(), framed.data(), framed.size(), MSG_NOSIGNAL) < 0) return std::strerror(errno);
  const auto answer = receive(client.get(), milliseconds(500));
  return answer && answer->size() > 2 ? "answered" : "no answer";
}

class ProxyRedirect : public WorkloadTest {
 protected:
  void SetUp() override {
    WorkloadTest::SetUp();
    zone_.add("example.com", ip("192.0.2.1"));
    near_ = std::make_unique<TestProxy>(resolver(), zone_.answerer());
    far_v4_ = std::make_unique<TestProxy>(far_resolver(), zone_.answerer());
    far_v6_ = std::make_unique<TestProxy>(far_resolver6(), zone_.answerer());
    for (const auto* proxy : {near_.get(), far_v4_.get(), far_v6_.get()}) {
      for (const Protocol protocol : {Protocol::kUdp, Protocol::kTcp})
        ASSERT_TRUE(enforcer_->add_proxy_place(proxy->place(protocol)));
    }
  }
  static Policy proxied(const std::vector<std::string>& allow) {
    auto policy = make_policy(allow);
    policy.dns.learn = Learn::kProxy;
    return policy;
  }

  std::unique_ptr<TestProxy> near_, far_v4_, far_v6_;
};

TEST_F(ProxyRedirect, ConnectedSocketsSeeTheirResolver) {
  arm(proxied({"example.com"}));
  for (const auto& server : {resolver(), far_resolver(), far_resolver6()}) {
    const std::string seen = in_cgroup(cgroup_, [&] {
      const auto client = make_socket(server.family(), SOCK_DGRAM);
      if (connect(client.get(), server.get(), server.length) != 0) return std::string(std::strerror(errno));
      const bool answered = ask_on(client.get(), make_question(3, "example.com", 1)).delivered();
      return peer_of(client.get()) + (answered ? " answered" : " silent");
    });
    EXPECT_EQ(seen, to_text(server) + " answered");
  }
  EXPECT_EQ(near_->questions().size() + far_v4_->questions().size() + far_v6_->questions().size(), 3u);
  EXPECT_TRUE(dns_->questions().empty()) << "the resolver itself was not asked";
  EXPECT_THAT(take_reasons(), IsEmpty());
}

TEST_F(ProxyRedirect, UnconnectedSocketsSeeTheirResolver) {
  arm(proxied({"example.com"}));
  for (const auto& server : {resolver(), far_resolver(), far_resolver6()}) {
    EXPECT_EQ(in_cgroup(cgroup_,
                        [&] {
                          const auto client = make_socket(server.family(), SOCK_DGRAM);
                          return ask_unconnected(client.get(), server);
                        }),
              to_text(server));
  }
}

TEST_F(ProxyRedirect, Ipv6SocketsSeeTheirMappedResolver) {
  arm(proxied({"example.com"}));
  const auto mapped = SocketAddress::mapped(far_resolver().address(), 53);
  EXPECT_EQ(in_cgroup(cgroup_, [&] { return ask_unconnected(make_socket(AF_INET6, SOCK_DGRAM).get(), mapped); }),
            to_text(mapped));
  EXPECT_EQ(in_cgroup(cgroup_,
                      [&] {
                        const auto client = make_socket(AF_INET6, SOCK_DGRAM);
                        if (connect(client.get(), mapped.get(), mapped.length) != 0) return std::string("refused");
                        ask_on(client.get(), make_question(3, "example.com", 1));
                        return peer_of(client.get());
                      }),
            to_text(mapped));
  EXPECT_EQ(far_v4_->questions().size(), 2u);
}

TEST_F(ProxyRedirect, TwoResolversOnOneSocketAnswerEachFromItsOwnAddress) {
  arm(proxied({"example.com"}));
  const std::string seen = in_cgroup(cgroup_, [&] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    std::string all;
    for (std::uint16_t i = 0; i < 4; ++i)
      all += ask_unconnected(client.get(), i % 2 == 0 ? resolver() : far_resolver(), i) + ";";
    return all;
  });
  EXPECT_EQ(seen, "127.0.0.53 53;10.77.0.1 53;127.0.0.53 53;10.77.0.1 53;");
}

TEST_F(ProxyRedirect, TcpGoesToTheProxyUnderEveryPolicy) {
  for (const auto& policy : {proxied({"example.com"}), make_policy({"example.com"})}) {
    arm(policy);
    for (const auto& server : {resolver(), far_resolver(), far_resolver6()}) {
      EXPECT_EQ(in_cgroup(cgroup_,
                          [&] {
                            std::string peer;
                            const auto outcome = ask_over_tcp(server, &peer);
                            return outcome + " " + peer;
                          }),
                "answered " + to_text(server));
    }
    ASSERT_TRUE(enforcer_->disarm(cgroup_.fd(), workload_));
  }
  const auto questions = near_->questions();
  EXPECT_EQ(std::count_if(questions.begin(), questions.end(), [](const auto& question) { return question.over_tcp; }),
            2);
}

TEST_F(ProxyRedirect, KernelModeAsksTheResolverItselfOverUdp) {
  serve_zone();
  arm(make_policy({"example.com"}));
  EXPECT_TRUE(look_up_inside("example.com").delivered());
  EXPECT_THAT(near_->questions(), IsEmpty());
  EXPECT_THAT(granted_addresses(), ElementsAre("192.0.2.1"));
}

TEST_F(ProxyRedirect, TeachesNothingInTheKernel) {
  arm(proxied({"example.com"}));
  EXPECT_TRUE(look_up_inside("example.com").delivered());
  EXPECT_THAT(granted_addresses(), IsEmpty());
  EXPECT_TRUE(look_up_inside("evil.test").delivered()) << "the proxy judges the question";
}

TEST_F(ProxyRedirect, WithoutAPlaceIsRefusedAndNamesTheNamespace) {
  ASSERT_TRUE(enforcer_->remove_proxy_place(near_->place(Protocol::kUdp)));
  ASSERT_TRUE(enforcer_->remove_proxy_place(near_->place(Protocol::kTcp)));
  arm(proxied({"example.com"}));
  EXPECT_EQ(look_up_inside("example.com").send_error, ECONNREFUSED);
  WorkloadProcess process(cgroup_, [] { return ask_over_tcp(resolver()); });
  const pid_t pid = process.pid();
  EXPECT_EQ(process.wait(), std::strerror(ECONNREFUSED));
  const auto events = take_events();
  ASSERT_EQ(events.size(), 2u);
  for (const auto& event : events) {
    EXPECT_EQ(event.reason, NW_REASON_NO_PROXY_IN_NETNS);
    EXPECT_EQ(event.netns_cookie, bpf::netns_cookie().value_or(0));
  }
  EXPECT_EQ(events[1].pid, static_cast<std::uint32_t>(pid));
  EXPECT_TRUE(dns_->questions().empty());
}

TEST_F(ProxyRedirect, OfASocketThatIsBoundToADeviceIsRefused) {
  arm(proxied({"example.com"}));
  EXPECT_EQ(in_cgroup(cgroup_,
                      [] {
                        const auto client = make_socket(AF_INET, SOCK_DGRAM);
                        setsockopt(client.get(), SOL_SOCKET, SO_BINDTODEVICE, kNearDevice, sizeof(kNearDevice));
                        const auto to = far_resolver();
                        return connect(client.get(), to.get(), to.length) == 0 ? 0 : errno;
                      }),
            ECONNREFUSED);
  EXPECT_THAT(take_reasons(), ElementsAre("bound_to_device"));
}

// The hooks see no IP_PKTINFO and no IP_UNICAST_IF: the place's address would be asked for on the wire.
TEST_F(ProxyRedirect, NoQuestionLeavesByAnotherDeviceThanLoopback) {
  arm(proxied({"example.com"}));
  Sniffer sniffer(network_);
  const std::string errors = in_cgroup(cgroup_, [] {
    const auto question = make_question(3, "evil.test", 1);
    const auto bytes = std::as_bytes(std::span(question));
    in_pktinfo info{};
    info.ipi_ifindex = static_cast<int>(if_nametoindex(kNearDevice));
    const auto by_packet = make_socket(AF_INET, SOCK_DGRAM);
    const int error = send_with_control(by_packet.get(), far_resolver(), bytes,
                                        {IPPROTO_IP, IP_PKTINFO, std::as_bytes(std::span(&info, 1))});
    const auto by_socket = make_socket(AF_INET, SOCK_DGRAM);
    const std::uint32_t device = htonl(static_cast<std::uint32_t>(info.ipi_ifindex));
    setsockopt(by_socket.get(), IPPROTO_IP, IP_UNICAST_IF, &device, sizeof(device));
    const auto to = far_resolver();
    const bool sent = sendto(by_socket.get(), question.data(), question.size(), 0, to.get(), to.length) >= 0;
    in6_pktinfo info6{};
    info6.ipi6_ifindex = static_cast<unsigned>(info.ipi_ifindex);
    const auto v6 = make_socket(AF_INET6, SOCK_DGRAM);
    const int error6 = send_with_control(v6.get(), far_resolver6(), bytes,
                                         {IPPROTO_IPV6, IPV6_PKTINFO, std::as_bytes(std::span(&info6, 1))});
    return std::to_string(error) + " " + std::to_string(sent ? 0 : errno) + " " + std::to_string(error6);
  });
  for (const Bytes& packet : sniffer.take()) EXPECT_FALSE(contains_text(packet, "evil")) << errors;
}

TEST_F(ProxyRedirect, AConnectionToAPlaceStaysOnLoopback) {
  arm(make_policy({"example.com"}));
  Sniffer sniffer(network_);
  in_cgroup(cgroup_, [] {
    const auto client = make_socket(AF_INET, SOCK_STREAM);
    const SocketAddress from(ip("10.77.0.2"), 0);
    const auto to = far_resolver();
    const bool connected =
        bind(client.get(), from.get(), from.length) == 0 && connect(client.get(), to.get(), to.length) == 0;
    EXPECT_TRUE(connected) << std::strerror(errno);
    setsockopt(client.get(), SOL_SOCKET, SO_BINDTODEVICE, kNearDevice, sizeof(kNearDevice));
    send(client.get(), "evil", 4, MSG_NOSIGNAL);
    std::this_thread::sleep_for(milliseconds(50));
  });
  for (const Bytes& packet : sniffer.take()) EXPECT_FALSE(contains_text(packet, "evil"));
}

TEST_F(ProxyRedirect, AFloodOfDatagramsEndsAtTheSender) {
  auto policy = proxied({"example.com"});
  policy.dns.bounds.per_second = 10;
  arm(policy);
  near_->stop_answering();
  const int passed = in_cgroup(cgroup_, [] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    const auto question = make_question(3, "evil.test", 1);
    const auto to = resolver();
    int sent = 0;
    for (int i = 0; i < 500; ++i)
      sent += sendto(client.get(), question.data(), question.size(), 0, to.get(), to.length) > 0 ? 1 : 0;
    return sent;
  });
  EXPECT_GE(passed, 20);
  EXPECT_LE(passed, 40) << "the window may change once";
  EXPECT_EQ(count_of(NW_REASON_QUERY_RATE), 500u - static_cast<unsigned>(passed));
}

TEST_F(ProxyRedirect, SegmentedDatagramsToAPlaceAreRefused) {
  arm(proxied({"example.com"}));
  const int error = in_cgroup(cgroup_, [] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    auto two = make_question(3, "evil.test", 1);
    const int size = static_cast<int>(two.size());
    two.insert(two.end(), two.begin(), two.begin() + size);
    setsockopt(client.get(), IPPROTO_UDP, 103, &size, sizeof(size));  // UDP_SEGMENT
    const auto to = resolver();
    return sendto(client.get(), two.data(), two.size(), 0, to.get(), to.length) > 0 ? 0 : errno;
  });
  EXPECT_NE(error, 0);
  EXPECT_THAT(take_reasons(), ElementsAre("question_segmented"));
}

TEST_F(ProxyRedirect, OfAResolverThatNobodyTrustsIsRefusedWithAReasonOfItsOwn) {
  arm(proxied({"example.com"}));
  EXPECT_EQ(in_cgroup(cgroup_, [] { return look_up(SocketAddress(ip("192.0.2.53"), 53), "example.com"); }).send_error,
            ECONNREFUSED);
  EXPECT_EQ(tcp_inside(ip("192.0.2.53"), 53), ECONNREFUSED);
  EXPECT_THAT(take_reasons(), ElementsAre("untrusted_resolver", "untrusted_resolver"));
}

TEST_F(ProxyRedirect, APlaceThatIsAddressedDirectlyIsJudgedAsItsResolver) {
  auto policy = proxied({"example.com"});
  policy.loopback = Loopback::kAny;
  std::erase_if(policy.dns.resolvers, [](const auto& server) { return server.address == far_resolver().address(); });
  arm(policy);
  EXPECT_TRUE(in_cgroup(cgroup_, [&] { return look_up(near_->at(), "example.com"); }).delivered());
  EXPECT_EQ(in_cgroup(cgroup_, [&] { return look_up(far_v4_->at(), "example.com"); }).send_error, ECONNREFUSED);
  EXPECT_EQ(tcp_inside(far_v4_->at().address(), far_v4_->at().port()), ECONNREFUSED);
  EXPECT_THAT(take_reasons(), ElementsAre("untrusted_resolver", "untrusted_resolver"));
  const auto questions = near_->questions();
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_NE(questions[0].token(), 0);
}

TEST_F(ProxyRedirect, APlaceCannotBeTakenFromTheProxy) {
  const auto place = near_->place(Protocol::kUdp);
  const std::uint16_t port = place.port.number;
  near_.reset();  // its place is free, and still announced
  auto policy = proxied({"example.com"});
  policy.loopback = Loopback::kAny;
  arm(policy);
  const auto bind_inside = [&](const char* address) {
    return in_cgroup(cgroup_, [&] {
      const auto socket = make_socket(ip(address).is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM);
      const SocketAddress at(ip(address), port);
      return bind(socket.get(), at.get(), at.length) == 0 ? 0 : errno;
    });
  };
  for (const char* address : {"127.0.0.1", "0.0.0.0", "10.77.0.2", "::", "::1"})
    EXPECT_EQ(bind_inside(address), EACCES) << address;
  write_sysctl("net/ipv4/ip_local_port_range", std::to_string(port) + " " + std::to_string(port));
  EXPECT_EQ(in_cgroup(cgroup_,
                      [&] {
                        const auto socket = make_socket(AF_INET, SOCK_DGRAM);
                        const SocketAddress any(ip("127.0.0.1"), 0);
                        return bind(socket.get(), any.get(), any.length) == 0 ? 0 : errno;
                      }),
            EACCES);
  EXPECT_EQ(in_cgroup(cgroup_, [&] { return udp_send_to(ip("127.0.0.1"), 4433); }), EPERM)
      << "the kernel chooses the place's port when the datagram leaves";
  EXPECT_EQ(count_of(NW_REASON_BIND_RESOLVER), 7u);
}

TEST_F(ProxyRedirect, PlacesMoveAndAreReadBack) {
  const TestProxy other(resolver(), zone_.answerer());
  const auto first = near_->place(Protocol::kUdp), second = other.place(Protocol::kUdp);
  EXPECT_THAT(enforcer_->proxy_places(), Contains(first));
  ASSERT_TRUE(enforcer_->add_proxy_place(second));
  EXPECT_THAT(enforcer_->proxy_places(), Contains(second));
  EXPECT_THAT(enforcer_->proxy_places(), testing::Not(Contains(first)));
  ASSERT_TRUE(enforcer_->remove_proxy_place(first)) << "it is over already, and the second one stays";
  arm(proxied({"example.com"}));
  EXPECT_TRUE(look_up_inside("example.com").delivered());
  EXPECT_EQ(other.questions().size(), 1u);
}

TEST_F(ProxyRedirect, AuditLetsEverythingThrough) {
  auto policy = proxied({"example.com"});
  policy.mode = Mode::kAudit;
  ASSERT_TRUE(enforcer_->remove_proxy_place(near_->place(Protocol::kTcp)));
  arm(policy);
  EXPECT_TRUE(look_up_inside("evil.test").delivered());
  EXPECT_EQ(near_->questions().size(), 1u);
  EXPECT_NE(near_->questions()[0].token(), 0);
  in_cgroup(cgroup_, [] { return tcp_connect(resolver().address(), 53); });
  EXPECT_THAT(take_reasons(), Contains("no_proxy_in_netns"));
}

}  // namespace
}  // namespace namewall::kernel_tests
