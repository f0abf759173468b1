// The sockets at which the proxy listens: datagrams in batches with their marks, streams with their bounds.
#include <gmock/gmock.h>
#include <linux/netlink.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>
#include <thread>

#include "agent/cgroup_tree.h"
#include "agent/proxy/datagram_place.h"
#include "agent/proxy/peer_cgroup.h"
#include "agent/proxy/proxy_sockets.h"
#include "agent/proxy/stream_place.h"
#include "bpf/enforcer.h"
#include "tests/kernel/support/dns_stream_server.h"
#include "tests/kernel/support/requirements.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using namespace agent;
using std::chrono::milliseconds;
using testing::ElementsAre;

const ResolverAddress kResolver{ip("10.77.0.1"), Port{53}};
const ResolverAddress kResolver6{ip("fd77::1"), Port{53}};

OwnedFd connected_udp(const SocketAddress& to) {
  OwnedFd made(socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(made.get(), to.get(), to.length), 0) << std::strerror(errno);
  return made;
}
OwnedFd connected_tcp(const SocketAddress& to) {
  OwnedFd made(socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  EXPECT_EQ(connect(made.get(), to.get(), to.length), 0) << std::strerror(errno);
  return made;
}
void send_all(int fd, const Bytes& bytes) {
  EXPECT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}
bool has_ended(int fd, milliseconds timeout = milliseconds(0)) {
  pollfd waiting{fd, POLLIN, 0};
  poll(&waiting, 1, static_cast<int>(timeout.count()));
  char byte;
  const ssize_t count = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return count == 0 || (count < 0 && errno != EAGAIN);
}

class ProxyPlacesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = find_missing_requirement()) GTEST_SKIP() << *missing;
    network_.emplace();
  }
  ProxySockets open_sockets(const ResolverAddress& resolver = kResolver) {
    auto sockets = open_proxy_sockets(resolver);
    if (!sockets) ADD_FAILURE() << sockets.error().message();
    const auto located = locate(*sockets);
    if (!located) ADD_FAILURE() << located.error().message();
    place_ = *located;
    address_ = SocketAddress(ip(place_.is_ipv6 ? "::1" : "127.0.0.1"), place_.port.number);
    return std::move(*sockets);
  }

  std::optional<Network> network_;
  ProxySocketsPlace place_;
  SocketAddress address_;
};

TEST_F(ProxyPlacesTest, SocketsSayWhereTheyAre) {
  open_sockets(kResolver);
  EXPECT_FALSE(place_.is_ipv6);
  EXPECT_EQ(place_.netns_cookie, *bpf::netns_cookie());
  open_sockets(kResolver6);
  EXPECT_TRUE(place_.is_ipv6);
}

TEST_F(ProxyPlacesTest, NobodyBindsBesideThem) {
  const ProxySockets sockets = open_sockets();
  for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
    for (const char* address : {"127.0.0.1", "0.0.0.0"}) {
      const OwnedFd other(socket(AF_INET, type | SOCK_CLOEXEC, 0));
      const int yes = 1;
      setsockopt(other.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
      setsockopt(other.get(), SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
      const SocketAddress same(ip(address), place_.port.number);
      EXPECT_EQ(bind(other.get(), same.get(), same.length), -1) << address;
    }
  }
}

TEST_F(ProxyPlacesTest, SocketsOfAnotherKindAreNotTakenForThem) {
  ProxySockets one = open_sockets(), two = open_sockets();
  const ProxySockets mixed{std::move(one.udp), std::move(two.tcp)};
  EXPECT_EQ(locate(mixed).error().kind, ErrorKind::kInvalid);
  const ProxySockets swapped{std::move(one.tcp), std::move(two.udp)};
  EXPECT_EQ(locate(swapped).error().kind, ErrorKind::kInvalid);
  ProxySockets shared = open_sockets();
  const int yes = 1;
  setsockopt(shared.udp.get(), SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
  EXPECT_EQ(locate(shared).error().kind, ErrorKind::kInvalid);
}

TEST_F(ProxyPlacesTest, ThereAreNoneWhereLoopbackIsDown) {
  run_command({"ip", "link", "set", "lo", "down"});
  for (const auto& resolver : {kResolver, kResolver6}) {
    const auto sockets = open_proxy_sockets(resolver);
    ASSERT_FALSE(sockets);
    EXPECT_EQ(sockets.error().kind, ErrorKind::kUnsupported);
  }
}

TEST_F(ProxyPlacesTest, DatagramsComeInBatchesWithTheirMarks) {
  for (const auto& resolver : {kResolver, kResolver6}) {
    DatagramPlace place(std::move(open_sockets(resolver).udp));
    DatagramBatch batch;
    EXPECT_TRUE(place.receive(batch).empty());
    std::vector<OwnedFd> clients;
    for (std::uint8_t i = 0; i < 70; ++i) {
      clients.push_back(connected_udp(address_));
      const std::uint32_t mark = 0x10000u * i;
      setsockopt(clients.back().get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
      send_all(clients.back().get(), {i, 'q'});
    }
    std::size_t seen = 0;
    for (std::size_t expected : {DatagramBatch::kSize, 70 - DatagramBatch::kSize, std::size_t{0}}) {
      const auto datagrams = place.receive(batch);
      ASSERT_EQ(datagrams.size(), expected);
      for (const Datagram& datagram : datagrams) {
        EXPECT_EQ(datagram.mark, 0x10000u * seen);
        EXPECT_THAT(datagram.message, ElementsAre(seen, 'q'));
        place.queue_reply(place.token_of(datagram), Bytes{datagram.message[0], 'a'});
        ++seen;
      }
    }
    place.flush();
    for (std::uint8_t i = 0; i < 70; ++i) {
      char answer[8];
      ASSERT_EQ(recv(clients[i].get(), answer, sizeof(answer), MSG_DONTWAIT), 2);
      EXPECT_EQ(answer[0], i);
    }
    EXPECT_EQ(place.lost_replies(), 0u);
  }
}

TEST_F(ProxyPlacesTest, AReplyThatCannotBeSentTakesNoOtherWithIt) {
  DatagramPlace place(std::move(open_sockets().udp));
  DatagramBatch batch;
  const OwnedFd client = connected_udp(address_);
  send_all(client.get(), {'q'});
  const auto datagrams = place.receive(batch);
  ASSERT_EQ(datagrams.size(), 1u);
  const std::uint64_t token = place.token_of(datagrams[0]);
  place.queue_reply(token, Bytes{1});
  place.queue_reply(token, Bytes(70000, 2));  // no datagram is that long
  place.queue_reply(token, Bytes{3});
  place.flush();
  EXPECT_EQ(place.lost_replies(), 1u);
  char answer[8];
  EXPECT_EQ(recv(client.get(), answer, sizeof(answer), MSG_DONTWAIT), 1);
  EXPECT_EQ(answer[0], 1);
  EXPECT_EQ(recv(client.get(), answer, sizeof(answer), MSG_DONTWAIT), 1);
  EXPECT_EQ(answer[0], 3);
}

TEST_F(ProxyPlacesTest, LongDatagramsAreCut) {
  DatagramPlace place(std::move(open_sockets().udp));
  DatagramBatch batch;
  const OwnedFd client = connected_udp(address_);
  send_all(client.get(), Bytes(9000, 'x'));
  const auto datagrams = place.receive(batch);
  ASSERT_EQ(datagrams.size(), 1u);
  EXPECT_EQ(datagrams[0].message.size(), DatagramBatch::kMaxLength);
}

// ---- streams ----

class FakeStreamHost : public StreamHost {
 public:
  struct Asked {
    ClientHandle client;
    Bytes message;
  };
  std::uint64_t next_place_number() override { return next_number_++; }
  std::uint64_t find_cgroup(const ResolverAddress& local, const ResolverAddress& remote) override {
    const auto cgroup = find_cgroup_of_connection(diagnosis_.get(), local, remote);
    return cgroup ? *cgroup : 0;
  }
  Asker find_asker(std::uint64_t cgroup_id) override { return cgroup_id == known_cgroup ? asker : nullptr; }
  bool admit(const Asker&) override { return admitted < bound && ++admitted > 0; }
  void leave(const Asker&) override { --admitted; }
  void on_question(const ClientHandle& client, const Asker&, std::span<const std::uint8_t> message) override {
    asked.push_back({client, Bytes(message.begin(), message.end())});
  }
  void on_closed(std::uint64_t number) override { closed.push_back(number); }

  void enter_network() { diagnosis_ = OwnedFd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)); }

  std::vector<Asked> asked;
  std::vector<std::uint64_t> closed;
  int admitted = 0, bound = 1000;
  std::uint64_t known_cgroup = 0;
  Asker asker;

 private:
  std::uint64_t next_number_ = 100;
  OwnedFd diagnosis_;
};

std::uint64_t cgroup_of_caller() {
  const auto own = find_own_cgroup_directory();
  struct stat status {};
  EXPECT_EQ(stat(own->c_str(), &status), 0);
  return status.st_ino;
}

class ProxyStreamTest : public ProxyPlacesTest {
 protected:
  void SetUp() override {
    ProxyPlacesTest::SetUp();
    if (IsSkipped()) return;
    poller_.emplace(*Poller::open());
    host_.enter_network();
    host_.known_cgroup = cgroup_of_caller();
    auto image = std::make_shared<PolicyImage>();
    image->bounds.idle = std::chrono::seconds(10);
    host_.asker = std::make_shared<std::vector<AskerLevel>>(
        std::vector<AskerLevel>{AskerLevel{host_.known_cgroup, "test", image}});
    open_place(kResolver);
  }
  void open_place(const ResolverAddress& resolver) {
    streams_.reset();
    sockets_ = open_sockets(resolver);
    streams_ = std::make_unique<StreamPlace>(
        std::move(sockets_.tcp), 1, ResolverAddress{address_.address(), Port{address_.port()}}, *poller_, host_);
  }
  void turn() {
    epoll_event room[16];
    for (int i = 0; i < 20; ++i) {
      streams_->flush(now_);
      pollfd waiting{poller_->fd(), POLLIN, 0};
      if (poll(&waiting, 1, 2) <= 0) break;
      for (const epoll_event& event : poller_->ready(room)) {
        if (event.data.u64 == 1) {
          streams_->on_listening_ready(now_);
        } else {
          streams_->on_connection_ready(event.data.u64, event.events, now_);
        }
      }
      streams_->flush(now_);
    }
  }
  void reply_to(std::size_t index, const Bytes& message) { streams_->reply(host_.asked[index].client, message, now_); }

  std::optional<Poller> poller_;
  FakeStreamHost host_;
  ProxySockets sockets_;
  BootTime now_{std::chrono::seconds(1000)};
  std::unique_ptr<StreamPlace> streams_;
};

TEST_F(ProxyStreamTest, QuestionsArePipelinedAndAnsweredInAnyOrder) {
  for (const auto& resolver : {kResolver, kResolver6}) {
    open_place(resolver);
    host_.asked.clear();
    const OwnedFd client = connected_tcp(address_);
    Bytes stream;
    for (std::uint8_t i = 0; i < 3; ++i) {
      const Bytes frame = framed({i, 'q'});
      stream.insert(stream.end(), frame.begin(), frame.end());
    }
    send_all(client.get(), stream);
    turn();
    ASSERT_EQ(host_.asked.size(), 3u);
    EXPECT_NE(host_.asked[0].client, host_.asked[1].client);
    reply_to(2, {2, 'a'});
    turn();
    streams_->flush(now_);
    EXPECT_EQ(receive_framed(client.get()), (Bytes{2, 'a'}));
    reply_to(0, {0, 'a'});
    reply_to(1, {1, 'a'});
    streams_->flush(now_);
    EXPECT_EQ(receive_framed(client.get()), (Bytes{0, 'a'}));
    EXPECT_EQ(receive_framed(client.get()), (Bytes{1, 'a'}));
  }
}

TEST_F(ProxyStreamTest, QuestionsMayArriveByteByByte) {
  const OwnedFd client = connected_tcp(address_);
  for (const std::uint8_t byte : framed({'a', 'b', 'c'})) {
    EXPECT_TRUE(host_.asked.empty());
    send_all(client.get(), {byte});
    turn();
  }
  ASSERT_EQ(host_.asked.size(), 1u);
  EXPECT_EQ(host_.asked[0].message, (Bytes{'a', 'b', 'c'}));
}

TEST_F(ProxyStreamTest, AnswersOf64KiBArriveWholeWhileTheClientTakesItsTime) {
  const OwnedFd client = connected_tcp(address_);
  constexpr std::size_t kAnswers = StreamPlace::kMaxWaiting;
  for (std::size_t i = 0; i < kAnswers; ++i) send_all(client.get(), framed({'q'}));
  turn();
  ASSERT_EQ(host_.asked.size(), kAnswers);
  for (std::size_t i = 0; i < kAnswers; ++i) reply_to(i, Bytes(65535, static_cast<std::uint8_t>(i)));
  turn();
  send_all(client.get(), framed({'z'}));
  turn();
  EXPECT_EQ(host_.asked.size(), kAnswers) << "who does not read is not listened to";
  std::thread turning([this] {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (host_.asked.size() == kAnswers && std::chrono::steady_clock::now() < end) turn();
  });
  for (std::size_t i = 0; i < kAnswers; ++i) {
    const auto answer = receive_framed(client.get());
    EXPECT_TRUE(answer == Bytes(65535, static_cast<std::uint8_t>(i))) << i;
    if (!answer) break;
  }
  turning.join();
  EXPECT_EQ(host_.asked.size(), kAnswers + 1);
}

TEST_F(ProxyStreamTest, UnansweredQuestionsOfAConnectionAreBounded) {
  const OwnedFd client = connected_tcp(address_);
  constexpr std::size_t kSent = StreamPlace::kMaxWaiting + 5;
  for (std::size_t i = 0; i < kSent; ++i) send_all(client.get(), framed({'q'}));
  turn();
  EXPECT_EQ(host_.asked.size(), StreamPlace::kMaxWaiting);
  for (std::size_t i = 0; i < StreamPlace::kMaxWaiting; ++i) reply_to(i, {'a'});
  streams_->flush(now_);
  turn();
  EXPECT_EQ(host_.asked.size(), kSent) << "the others are taken then";
}

TEST_F(ProxyStreamTest, ConnectionsBeyondTheBoundAreClosed) {
  host_.bound = 2;
  const OwnedFd one = connected_tcp(address_), two = connected_tcp(address_), three = connected_tcp(address_);
  turn();
  EXPECT_FALSE(has_ended(one.get()));
  EXPECT_FALSE(has_ended(two.get()));
  EXPECT_TRUE(has_ended(three.get(), milliseconds(100)));
  EXPECT_EQ(streams_->connections(), 2u);
}

TEST_F(ProxyStreamTest, AClosedConnectionMakesRoom) {
  host_.bound = 1;
  {
    const OwnedFd one = connected_tcp(address_);
    turn();
  }
  turn();
  EXPECT_EQ(host_.admitted, 0);
  EXPECT_EQ(host_.closed.size(), 1u);
  const OwnedFd two = connected_tcp(address_);
  turn();
  EXPECT_EQ(streams_->connections(), 1u);
}

TEST_F(ProxyStreamTest, UnknownPeersAreClosed) {
  host_.known_cgroup = 0;
  const OwnedFd client = connected_tcp(address_);
  send_all(client.get(), framed({'q'}));
  turn();
  EXPECT_TRUE(has_ended(client.get(), milliseconds(100)));
  EXPECT_TRUE(host_.asked.empty());
}

TEST_F(ProxyStreamTest, ThePeerIsKnownByTheCgroupOfItsSocket) {
  ThrowawayCgroup cgroup;
  struct stat status {};
  ASSERT_EQ(fstat(cgroup.fd(), &status), 0);
  Rendezvous meeting;
  WorkloadProcess process(cgroup, [&] {
    const OwnedFd client = connected_tcp(address_);
    send_all(client.get(), framed({'q'}));
    meeting.arrive_and_wait();
    return std::string(has_ended(client.get()) ? "closed" : "open");
  });
  ASSERT_TRUE(meeting.await_arrival());
  host_.known_cgroup = status.st_ino;
  turn();
  EXPECT_EQ(host_.asked.size(), 1u);
  meeting.release();
  EXPECT_EQ(process.wait(), "open");
}

TEST_F(ProxyStreamTest, AnotherSocketWithTheEndsOfADeadConnectionIsNotItsPeer) {
  SocketAddress port_of_first;
  {
    const OwnedFd first = connected_tcp(address_);
    port_of_first.length = sizeof(port_of_first.storage);
    getsockname(first.get(), port_of_first.get(), &port_of_first.length);
    send_all(first.get(), framed({'1'}));
    const linger at_once{1, 0};
    setsockopt(first.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  const OwnedFd second(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(second.get(), port_of_first.get(), port_of_first.length), 0);
  ASSERT_EQ(connect(second.get(), address_.get(), address_.length), 0);
  send_all(second.get(), framed({'2'}));
  turn();
  ASSERT_EQ(host_.asked.size(), 1u);
  EXPECT_EQ(host_.asked[0].message, Bytes{'2'});
}

// Nothing is left of the client where there is no room for sockets in TIME_WAIT, and the connection is not reset: a
// lookup of its ends finds whoever listens at its port.
TEST_F(ProxyStreamTest, AListenerAtThePortOfADeadClientIsNotItsPeer) {
  write_sysctl("net/ipv4/tcp_max_tw_buckets", "0");
  SocketAddress port;
  {
    const OwnedFd client = connected_tcp(address_);
    port.length = sizeof(port.storage);
    getsockname(client.get(), port.get(), &port.length);
    send_all(client.get(), framed({'1'}));
  }
  const OwnedFd listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int error = EADDRINUSE;  // until the end is acknowledged
  for (int i = 0; i < 100 && error == EADDRINUSE; ++i) {
    error = bind(listening.get(), port.get(), port.length) == 0 ? 0 : errno;
    if (error != 0) std::this_thread::sleep_for(milliseconds(10));
  }
  ASSERT_EQ(error, 0);
  ASSERT_EQ(listen(listening.get(), 1), 0);
  turn();
  EXPECT_TRUE(host_.asked.empty());
}

TEST_F(ProxyStreamTest, IdleConnectionsAreClosed) {
  const OwnedFd quiet = connected_tcp(address_), half = connected_tcp(address_), waiting = connected_tcp(address_);
  send_all(half.get(), {0, 9, 'x'});
  send_all(waiting.get(), framed({'q'}));
  turn();
  now_ = now_ + std::chrono::seconds(9);
  streams_->tick(now_);
  EXPECT_EQ(streams_->connections(), 3u);
  send_all(half.get(), {'y'});
  turn();
  now_ = now_ + std::chrono::seconds(2);
  streams_->tick(now_);
  EXPECT_TRUE(has_ended(quiet.get()));
  EXPECT_TRUE(has_ended(half.get())) << "a question must come whole";
  EXPECT_FALSE(has_ended(waiting.get())) << "its resolver has more time";
  now_ = now_ + StreamPlace::kAnswerTime;
  streams_->tick(now_);
  EXPECT_TRUE(has_ended(waiting.get()));
}

TEST_F(ProxyStreamTest, WhoDoesNotReadIsClosed) {
  const OwnedFd client = connected_tcp(address_);
  for (std::uint32_t i = 0; i < StreamPlace::kMaxWaiting; ++i) send_all(client.get(), framed({'q'}));
  turn();
  for (std::uint32_t i = 0; i < StreamPlace::kMaxWaiting; ++i) reply_to(i, Bytes(65535, 'a'));
  streams_->flush(now_);
  now_ = now_ + std::chrono::seconds(11);
  streams_->tick(now_);
  EXPECT_EQ(streams_->connections(), 0u);
}

TEST_F(ProxyStreamTest, AClientThatSendsNoMoreGetsItsAnswers) {
  const OwnedFd client = connected_tcp(address_);
  send_all(client.get(), framed({'q'}));
  shutdown(client.get(), SHUT_WR);
  turn();
  EXPECT_EQ(streams_->connections(), 1u);
  reply_to(0, {'a'});
  streams_->flush(now_);
  EXPECT_EQ(receive_framed(client.get()), Bytes{'a'});
  EXPECT_TRUE(has_ended(client.get(), milliseconds(100)));
}

TEST_F(ProxyStreamTest, AMessageThatIsNoQuestionClosesTheConnection) {
  const OwnedFd client = connected_tcp(address_);
  send_all(client.get(), {0xff, 0xff, 'x'});
  turn();
  EXPECT_TRUE(has_ended(client.get(), milliseconds(100)));
}

}  // namespace
}  // namespace namewall::kernel_tests
