// The proxy as a whole, with a host that only says who asks: real sockets, real namespaces, no BPF.
#include "agent/proxy/dns_proxy.h"

#include <gmock/gmock.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/stat.h>

#include <map>

#include "agent/cgroup_tree.h"
#include "bpf/enforcer.h"
#include "tests/kernel/support/dns_stream_server.h"
#include "tests/kernel/support/requirements.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using namespace agent;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr AskerToken kToken = 7;
const SocketAddress kUpstream(ip("127.0.0.61"), 5361);

struct FakeSink : GrantSink {
  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime) override {
    for (const Grant& grant : lesson.grants)
      taught.push_back(std::to_string(cgroup_id) + " " + grant.address.to_string());
    return outcome;
  }
  std::vector<std::string> taught;
  Reason outcome = NW_REASON_NONE;
};

struct FakeHost : ProxyHost {
  Asker find_asker(AskerToken token) override { return token == kToken ? asker : nullptr; }
  Asker find_asker_of_cgroup(std::uint64_t cgroup_id) override { return cgroup_id == known_cgroup ? asker : nullptr; }
  Asker take_asker(const AskerKey& key) override {
    keys.push_back(key);
    return notes_askers ? asker : nullptr;
  }
  GrantSink& sink() override { return the_sink; }
  void report(const Event& event) override { events.push_back(event); }
  Result<void> announce(const ProxyPlace& place) override {
    if (places.size() == refuse_place_number) return fail(ErrorKind::kLimit, "no room");
    places.push_back(place);
    return {};
  }
  void withdraw(const ProxyPlace& place) override { std::erase(places, place); }

  Asker asker;
  std::uint64_t known_cgroup = 0;
  FakeSink the_sink;
  std::vector<Event> events;
  std::vector<ProxyPlace> places;
  std::vector<AskerKey> keys;
  bool notes_askers = false;
  std::size_t refuse_place_number = 99;
};

Answerer answering(const std::string& address) {
  return [address](const ReceivedQuestion& question) -> std::vector<Reply> {
    return {{make_answer(question.bytes, {{question.read.name, 60, "", ip(address)}})}};
  };
}

class DnsProxyTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = find_missing_requirement()) GTEST_SKIP() << *missing;
    network_.emplace();
    own_cookie_ = *bpf::netns_cookie();
    struct stat status {};
    ASSERT_EQ(stat(find_own_cgroup_directory()->c_str(), &status), 0);
    host_.known_cgroup = status.st_ino;
    set_policy({"allowed.test"});
    open_proxy(true);
  }

  void set_policy(const std::vector<std::string>& allow, const SocketAddress& resolver = kUpstream) {
    Policy policy = make_policy(allow);
    policy.dns.resolvers = {resolver_at(resolver)};
    host_.asker = std::make_shared<std::vector<AskerLevel>>(
        std::vector<AskerLevel>{AskerLevel{42, "test", std::make_shared<const PolicyImage>(compile(policy))}});
  }
  static ResolverAddress resolver_at(const SocketAddress& address) { return {address.address(), Port{address.port()}}; }
  static FileDescriptor diagnosis() {
    return FileDescriptor(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  }

  void open_proxy(bool use_marks) {
    DnsProxyOptions options;
    options.own_netns_cookie = own_cookie_;
    options.use_marks = use_marks;
    options.make_socket = [this](const ProxyNetns& netns, int family, int type) -> Result<FileDescriptor> {
      made_in_.push_back(netns.cookie);
      FileDescriptor made;
      network_->in_far([&] { made = FileDescriptor(socket(family, type | SOCK_CLOEXEC, 0)); });
      return made;
    };
    auto opened = DnsProxy::open(options, host_);
    ASSERT_TRUE(opened) << opened.error().message();
    proxy_.emplace(std::move(*opened));
    add_place(own_cookie_, kUpstream);
  }
  void add_place(std::uint64_t cookie, const SocketAddress& resolver) {
    if (auto namespaces = proxy_->namespaces(); std::ranges::find(namespaces, cookie) == namespaces.end()) {
      ASSERT_TRUE(proxy_->add_netns({cookie, FileDescriptor(), diagnosis()}));
    }
    auto sockets = open_proxy_sockets(resolver_at(resolver));
    ASSERT_TRUE(sockets) << sockets.error().message();
    place_ = SocketAddress(ip("127.0.0.1"), locate(*sockets)->port.number);
    const auto added = proxy_->add_sockets(cookie, resolver_at(resolver), std::move(*sockets));
    ASSERT_TRUE(added) << added.error().message();
  }

  OwnedFd client(int type = SOCK_DGRAM, std::uint32_t mark = kToken << 16) {
    OwnedFd made(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    setsockopt(made.get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
    EXPECT_EQ(connect(made.get(), place_.get(), place_.length), 0);
    return made;
  }
  static void send_all(int fd, const Bytes& bytes) {
    ASSERT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

  // Serves until `done`, as an outer loop does.
  template <typename F>
  bool serve_until(F done, milliseconds timeout = std::chrono::seconds(5)) {
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      pollfd waiting{proxy_->fd(), POLLIN, 0};
      poll(&waiting, 1, 10);
      proxy_->serve();
    }
    return true;
  }
  static bool is_readable(int fd) {
    pollfd waiting{fd, POLLIN, 0};
    return poll(&waiting, 1, 0) > 0;
  }
  std::optional<Bytes> exchange(const Bytes& question, std::uint32_t mark = kToken << 16,
                                milliseconds timeout = std::chrono::seconds(5)) {
    const OwnedFd udp = client(SOCK_DGRAM, mark);
    send_all(udp.get(), question);
    if (!serve_until([&] { return is_readable(udp.get()); }, timeout)) return std::nullopt;
    Bytes answer(65536);
    answer.resize(static_cast<std::size_t>(recv(udp.get(), answer.data(), answer.size(), 0)));
    return answer;
  }

  std::optional<Network> network_;
  std::uint64_t own_cookie_ = 0;
  FakeHost host_;
  std::optional<DnsProxy> proxy_;
  SocketAddress place_;
  std::vector<std::uint64_t> made_in_;
};

TEST_F(DnsProxyTest, AnswersArePassedOnOnceTheyAreTaught) {
  DnsServer server({kUpstream}, answering("192.0.2.1"));
  const Bytes question = make_question(0x4711, "allowed.test", 1);
  EXPECT_EQ(exchange(question), make_answer(question, {{"allowed.test", 60, "", ip("192.0.2.1")}}));
  EXPECT_THAT(host_.the_sink.taught, ElementsAre("42 192.0.2.1"));
}

TEST_F(DnsProxyTest, WhatIsNotTaughtIsNotPassedOn) {
  DnsServer server({kUpstream}, answering("192.0.2.1"));
  host_.the_sink.outcome = NW_REASON_GRANTS_FULL;
  const auto answer = exchange(make_question(0x4711, "allowed.test", 1));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->at(3) & 0xf, 2);
}

TEST_F(DnsProxyTest, RefusedNamesAreAnsweredAtOnceOverUdpAndTcp) {
  DnsServer server({kUpstream}, answering("192.0.2.1"));
  const auto answer = exchange(make_question(0x4711, "refused.test", 1));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->at(3) & 0xf, 3);
  const OwnedFd tcp = client(SOCK_STREAM, 0);
  send_all(tcp.get(), framed(make_question(0x4712, "refused.test", 1)));
  ASSERT_TRUE(serve_until([&] { return is_readable(tcp.get()); }));
  EXPECT_EQ(receive_framed(tcp.get())->at(3) & 0xf, 3);
  EXPECT_TRUE(server.questions().empty());
}

TEST_F(DnsProxyTest, QuestionsOverTcpAreThoseOfThePeersCgroup) {
  DnsServer server({kUpstream}, answering("192.0.2.1"));
  const OwnedFd tcp = client(SOCK_STREAM, 0);
  const Bytes first = make_question(1, "allowed.test", 1), second = make_question(2, "allowed.test", 28);
  Bytes both = framed(first);
  const Bytes rest = framed(second);
  both.insert(both.end(), rest.begin(), rest.end());
  send_all(tcp.get(), both);
  std::vector<int> ids;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(serve_until([&] { return is_readable(tcp.get()); }));
    ids.push_back(receive_framed(tcp.get())->at(1));
  }
  EXPECT_THAT(ids, UnorderedElementsAre(1, 2));
  EXPECT_EQ(proxy_->socket_figures().connections, 1u);
}

TEST_F(DnsProxyTest, ATruncatedAnswerComesWholeOverTcp) {
  const Answerer large = [](const ReceivedQuestion& question) -> std::vector<Reply> {
    return {{make_answer(question.bytes, std::vector<ZoneRecord>(100, {question.read.name, 60, "", ip("192.0.2.1")}))}};
  };
  DnsServer server({kUpstream}, [](const ReceivedQuestion& question) -> std::vector<Reply> {
    return {{make_answer(question.bytes, {}, kFlagsAnswer | kFlagTruncated)}};
  });
  DnsStreamServer stream(kUpstream, large);
  const auto over_udp = exchange(make_question(3, "allowed.test", 1));
  ASSERT_TRUE(over_udp);
  EXPECT_NE(over_udp->at(2) & 0x02, 0) << "TC";
  const OwnedFd tcp = client(SOCK_STREAM, 0);
  send_all(tcp.get(), framed(make_question(4, "allowed.test", 1)));
  ASSERT_TRUE(serve_until([&] { return is_readable(tcp.get()); }));
  const auto over_tcp = receive_framed(tcp.get());
  ASSERT_TRUE(over_tcp);
  EXPECT_GT(over_tcp->size(), 1600u);
}

TEST_F(DnsProxyTest, QuestionsOfUnknownSendersAreDroppedAndCounted) {
  DnsServer server({kUpstream}, answering("192.0.2.1"));
  const Bytes question = make_question(5, "allowed.test", 1);
  EXPECT_EQ(exchange(question, 0, milliseconds(100)), std::nullopt);
  EXPECT_EQ(exchange(question, 8 << 16, milliseconds(100)), std::nullopt);
  EXPECT_EQ(exchange(question, kToken, milliseconds(100)), std::nullopt) << "the low bits are others'";
  host_.known_cgroup = 0;
  const OwnedFd tcp = client(SOCK_STREAM, 0);
  send_all(tcp.get(), framed(question));
  EXPECT_FALSE(serve_until([&] { return server.questions().size() > 0; }, milliseconds(100)));
  EXPECT_EQ(proxy_->socket_figures().unknown_askers, 3u) << "of datagrams; the connection was known, its workload not";
  ASSERT_EQ(host_.events.size(), 1u) << "one event a second";
  EXPECT_EQ(host_.events[0].reason, NW_REASON_ASKER_UNKNOWN);
  EXPECT_EQ(host_.events[0].netns_cookie, own_cookie_);
}

TEST_F(DnsProxyTest, WithoutMarksTheHostIsAskedForThePacketItself) {
  DnsServer server({kUpstream}, answering("192.0.2.1"));
  open_proxy(false);
  host_.notes_askers = true;
  const Bytes question = make_question(6, "allowed.test", 1);
  EXPECT_TRUE(exchange(question, 0));
  ASSERT_EQ(host_.keys.size(), 1u);
  EXPECT_EQ(host_.keys[0].netns_cookie, own_cookie_);
  EXPECT_EQ(host_.keys[0].address, ip("127.0.0.1"));
  EXPECT_EQ(host_.keys[0].message, question);
}

// Workloads for which no token was left: pooled children, and those beyond the tokens of a layer.
TEST_F(DnsProxyTest, APacketWithoutTokenIsAskedForBesideMarks) {
  DnsServer server({kUpstream}, answering("192.0.2.1"));
  host_.notes_askers = true;
  EXPECT_TRUE(exchange(make_question(0x4711, "allowed.test", 1), 0));
  EXPECT_EQ(host_.keys.size(), 1u);
}

TEST_F(DnsProxyTest, AResolverThatThePolicyDoesNotNameIsNotAsked) {
  const SocketAddress other(ip("127.0.0.62"), 5361);
  DnsServer server({kUpstream, other}, answering("192.0.2.1"));
  set_policy({"allowed.test"}, other);
  EXPECT_EQ(exchange(make_question(7, "allowed.test", 1), kToken << 16, milliseconds(100)), std::nullopt);
  EXPECT_TRUE(server.questions().empty());
  ASSERT_EQ(host_.events.size(), 1u);
  EXPECT_EQ(host_.events[0].reason, NW_REASON_UNTRUSTED_RESOLVER);
}

TEST_F(DnsProxyTest, AResolverOfAnotherNamespaceIsAskedThere) {
  std::uint64_t far_cookie = 0;
  ProxySockets sockets;
  ProxyNetns far;
  std::unique_ptr<DnsServer> server;
  const SocketAddress resolver(ip("127.0.0.11"), 53);
  network_->in_far([&] {
    far_cookie = *bpf::netns_cookie();
    sockets = std::move(*open_proxy_sockets(resolver_at(resolver)));
    place_ = SocketAddress(ip("127.0.0.1"), locate(sockets)->port.number);
    far = {far_cookie, FileDescriptor(), diagnosis()};
    server = std::make_unique<DnsServer>(std::vector{resolver}, answering("192.0.2.11"));
  });
  set_policy({"allowed.test"}, resolver);
  ASSERT_TRUE(proxy_->add_netns(std::move(far)));
  ASSERT_TRUE(proxy_->add_sockets(far_cookie, resolver_at(resolver), std::move(sockets)));
  EXPECT_TRUE(proxy_->serves(far_cookie, resolver_at(resolver)));
  OwnedFd udp;
  network_->in_far([&] { udp = client(); });
  const Bytes question = make_question(8, "allowed.test", 1);
  send_all(udp.get(), question);
  ASSERT_TRUE(serve_until([&] { return is_readable(udp.get()); }));
  EXPECT_EQ(made_in_, std::vector{far_cookie});
  EXPECT_EQ(server->questions().size(), 1u);

  proxy_->remove_netns(far_cookie);
  EXPECT_FALSE(proxy_->serves(far_cookie, resolver_at(resolver)));
  EXPECT_THAT(proxy_->namespaces(), ElementsAre(own_cookie_));
  EXPECT_EQ(host_.places.size(), 2u) << "those of the own namespace";
  send(udp.get(), question.data(), question.size(), 0);
  EXPECT_EQ(send(udp.get(), question.data(), question.size(), 0), -1);
  EXPECT_EQ(errno, ECONNREFUSED) << "the sockets are closed";
}

TEST_F(DnsProxyTest, PlacesAreAnnouncedForBothProtocols) {
  ASSERT_EQ(host_.places.size(), 2u);
  for (const auto& place : host_.places) {
    EXPECT_EQ(place.netns_cookie, own_cookie_);
    EXPECT_EQ(place.resolver, resolver_at(kUpstream));
    EXPECT_EQ(place.port.number, place_.port());
  }
  EXPECT_NE(host_.places[0].protocol, host_.places[1].protocol);
}

TEST_F(DnsProxyTest, APlaceThatIsNotAnnouncedIsNotServed) {
  host_.refuse_place_number = 3;  // its TCP one
  const SocketAddress other(ip("127.0.0.62"), 5361);
  auto sockets = open_proxy_sockets(resolver_at(other));
  EXPECT_EQ(proxy_->add_sockets(own_cookie_, resolver_at(other), std::move(*sockets)).error().kind, ErrorKind::kLimit);
  EXPECT_FALSE(proxy_->serves(own_cookie_, resolver_at(other)));
  EXPECT_EQ(host_.places.size(), 2u);
}

TEST_F(DnsProxyTest, SocketsOfAnotherNamespaceOrFamilyAreNotTaken) {
  std::optional<ProxySockets> elsewhere;
  network_->in_far([&] { elsewhere = std::move(*open_proxy_sockets(resolver_at(kUpstream))); });
  const ResolverAddress other{ip("127.0.0.62"), Port{5361}}, other6{ip("fd77::1"), Port{53}};
  EXPECT_EQ(proxy_->add_sockets(own_cookie_, other, std::move(*elsewhere)).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(proxy_->add_sockets(own_cookie_, other6, std::move(*open_proxy_sockets(other))).error().kind,
            ErrorKind::kInvalid);
}

TEST_F(DnsProxyTest, NamesThatTheAgentKeepsFreshAreTaughtUnasked) {
  DnsServer server({kUpstream}, answering("192.0.2.1"));
  EXPECT_EQ(proxy_->next_deadline(), std::nullopt) << "nothing to do";
  auto image = std::make_shared<PolicyImage>(*host_.asker->front().image);
  image->agent_names = {*DomainName::parse("allowed.test")};
  host_.asker = std::make_shared<std::vector<AskerLevel>>(std::vector<AskerLevel>{AskerLevel{42, "test", image}});
  proxy_->keep_fresh({host_.asker});
  ASSERT_TRUE(proxy_->next_deadline().has_value());
  EXPECT_TRUE(serve_until([&] { return !host_.the_sink.taught.empty(); }));
  EXPECT_EQ(host_.the_sink.taught.front(), "42 192.0.2.1");
}

TEST_F(DnsProxyTest, ConnectionsOfAWorkloadAreBounded) {
  auto image = std::make_shared<PolicyImage>(*host_.asker->front().image);
  image->bounds.connections = 2;
  host_.asker = std::make_shared<std::vector<AskerLevel>>(std::vector<AskerLevel>{AskerLevel{42, "test", image}});
  std::vector<OwnedFd> connections;
  for (int i = 0; i < 4; ++i) connections.push_back(client(SOCK_STREAM, 0));
  EXPECT_TRUE(serve_until([&] { return is_readable(connections[3].get()); }));
  EXPECT_EQ(proxy_->socket_figures().connections, 2u);
  connections.clear();
  EXPECT_TRUE(serve_until([&] { return proxy_->socket_figures().connections == 0; }));
}

}  // namespace
}  // namespace namewall::kernel_tests
