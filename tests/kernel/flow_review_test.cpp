// Old flows judged and ended, with real sockets in real namespaces.
#include "agent/host/flow_review.h"

#include <gmock/gmock.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>

#include "agent/host/socket_list.h"
#include "tests/kernel/support/helper_loop.h"

namespace namewall::kernel_tests {
namespace {

using agent::FlowReview;
using agent::FlowReviewRequest;

// The test's own servers, which a forked child would hold.
void close_inherited_sockets() {
  for (int fd = 3; fd < 1024; ++fd) {
    struct stat status {};
    if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode)) close(fd);
  }
}

class FlowReviewTest : public WorkloadTest {
 protected:
  FlowReview review(const Policy& policy, bool cut_unattributed = false, std::vector<GrantRecord> grants = {}) {
    auto helper = start_helper();
    std::optional<FlowReview> out;
    FlowReviewRequest request{cgroup_.fd(), std::make_shared<const PolicyImage>(compile(policy)), std::move(grants),
                              cut_unattributed};
    agent::review_flows(helper, std::move(request), boot_now(), [&](FlowReview done) { out = std::move(done); });
    EXPECT_TRUE(turn_until(helper, [&] { return out.has_value(); }));
    return out.value_or(FlowReview{});
  }

  struct Outcome {
    int tcp = -1, udp = -1;  // errno of a send after the review
  };
  // A process with a TCP and a UDP socket connected to 192.0.2.1 while `meanwhile` runs.
  Outcome send_across(const std::function<void()>& meanwhile) {
    Rendezvous turn;
    WorkloadProcess process(cgroup_, [&turn] {
      const SocketAddress to(ip("192.0.2.1"), 443);
      close_inherited_sockets();
      const auto tcp = make_socket(AF_INET, SOCK_STREAM), udp = make_socket(AF_INET, SOCK_DGRAM);
      Outcome outcome;
      reset_on_close(tcp.get());
      if (connect(tcp.get(), to.get(), to.length) != 0 || connect(udp.get(), to.get(), to.length) != 0) {
        outcome.tcp = -2;
      }
      turn.arrive_and_wait();
      outcome.tcp = send(tcp.get(), "x", 1, MSG_NOSIGNAL) == 1 ? 0 : errno;
      outcome.udp = send(udp.get(), "x", 1, MSG_NOSIGNAL) == 1 ? 0 : errno;
      return std::string(reinterpret_cast<const char*>(&outcome), sizeof outcome);
    });
    EXPECT_TRUE(turn.await_arrival());
    meanwhile();
    turn.release();
    const std::string bytes = process.wait();
    Outcome outcome;
    if (bytes.size() == sizeof outcome) std::memcpy(&outcome, bytes.data(), sizeof outcome);
    return outcome;
  }
};

TEST_F(FlowReviewTest, EndsWhatThePolicyDeniesAndSaysWhat) {
  FlowReview found;
  const Outcome outcome = send_across([&] {
    found = review(make_policy({"tcp://192.0.2.1:443", "udp://192.0.2.1:443"}, {"192.0.2.1"}));
  });
  EXPECT_EQ(found.destroyed.size(), 2u);
  EXPECT_EQ(outcome.tcp, ECONNABORTED);
  EXPECT_NE(outcome.udp, 0);
  EXPECT_EQ(found.kept, 0u);
  EXPECT_TRUE(found.is_complete()) << found.unjudged.at(0);
}

TEST_F(FlowReviewTest, KeepsWhatThePolicyAllows) {
  FlowReview found;
  const Outcome outcome = send_across([&] {
    found = review(make_policy({"tcp://192.0.2.1:443", "udp://192.0.2.1:443"}));
  });
  EXPECT_EQ(outcome.tcp, 0);
  EXPECT_EQ(outcome.udp, 0);
  EXPECT_EQ(found.kept, 2u);
  EXPECT_TRUE(found.destroyed.empty());
}

TEST_F(FlowReviewTest, RawSocketsAreEndedOrLeaveTheWorkloadUnjudged) {
  FlowReview found;
  Rendezvous turn;
  WorkloadProcess process(cgroup_, [&turn] {
    close_inherited_sockets();
    const auto raw = make_socket(AF_INET, SOCK_RAW, 253);
    turn.arrive_and_wait();
    const SocketAddress to(ip("192.0.2.1"), 0);
    return std::string(sendto(raw.get(), "x", 1, 0, to.get(), to.length) == 1 ? "alive" : "dead");
  });
  ASSERT_TRUE(turn.await_arrival());
  found = review(make_policy({"*://*:*"}));
  turn.release();
  if (process.wait() == "alive") {
    EXPECT_THAT(found.unjudged, testing::ElementsAre("its processes hold raw sockets, which this kernel cannot end "
                                                     "(CONFIG_INET_RAW_DIAG)"));
  } else {
    ASSERT_EQ(found.destroyed.size(), 1u);
    EXPECT_EQ(found.destroyed[0].flow.to_string(), "raw protocol 253");
    EXPECT_TRUE(found.is_complete());
  }
}

TEST_F(FlowReviewTest, KeepsAFlowThatNothingRemembersUnlessToldToCutIt) {
  FlowReview kept, cut;
  Outcome outcome = send_across([&] { kept = review(make_policy({"name.test"})); });
  EXPECT_EQ(outcome.tcp, 0);
  EXPECT_EQ(kept.unattributed.size(), 2u);
  outcome = send_across([&] { cut = review(make_policy({"name.test"}), true); });
  EXPECT_NE(outcome.tcp, 0);
  EXPECT_EQ(cut.unattributed.size(), 0u);
}

TEST_F(FlowReviewTest, AnExpiredNameStillKeepsItsFlowUntilThePolicyDropsTheName) {
  zone_.add("name.test", ip("192.0.2.1"), 1);
  serve_zone();
  const Policy with = make_policy({"*://name.test:443"}), without = make_policy({"*://other.test:443"});
  arm(with);
  ASSERT_TRUE(look_up_inside("name.test").delivered());
  FlowReview kept, ended;
  Rendezvous turn;
  WorkloadProcess process(cgroup_, [&turn] {
    const SocketAddress to(ip("192.0.2.1"), 443);
    const auto tcp = make_socket(AF_INET, SOCK_STREAM);
    reset_on_close(tcp.get());
    const int connected = connect(tcp.get(), to.get(), to.length) == 0 ? 0 : errno;
    turn.arrive_and_wait();
    return std::to_string(connected) + " " + std::to_string(send(tcp.get(), "x", 1, MSG_NOSIGNAL) == 1 ? 0 : errno);
  });
  ASSERT_TRUE(turn.await_arrival());
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  kept = review(with, true, grants());
  replace(without);
  ended = review(without, false, grants());
  turn.release();
  EXPECT_EQ(kept.kept, 1u);
  EXPECT_TRUE(kept.destroyed.empty());
  ASSERT_EQ(ended.destroyed.size(), 1u);
  EXPECT_EQ(ended.destroyed[0].reason, NW_REASON_NOT_ALLOWED_NOW);
  EXPECT_EQ(process.wait(), "0 " + std::to_string(ECONNABORTED));
}

TEST_F(FlowReviewTest, AnIdlePeerSeesAReset) {
  // The far end of the connection runs outside of the cgroup.
  OwnedFd listener, accepted;
  network_.in_far([&] {
    listener = make_socket(AF_INET, SOCK_STREAM);
    const int one = 1;
    setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const SocketAddress at(ip("192.0.2.9"), 9000);
    ASSERT_EQ(bind(listener.get(), at.get(), at.length), 0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
  });
  Rendezvous turn;
  WorkloadProcess process(cgroup_, [&turn] {
    const SocketAddress to(ip("192.0.2.9"), 9000);
    const auto tcp = make_socket(AF_INET, SOCK_STREAM);
    const int connected = connect(tcp.get(), to.get(), to.length);
    turn.arrive_and_wait();
    return std::to_string(connected);
  });
  ASSERT_TRUE(turn.await_arrival());
  accepted = OwnedFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_EQ(review(make_policy({}, {"192.0.2.9"})).destroyed.size(), 1u);
  char byte = 0;
  pollfd ready{accepted.get(), POLLIN, 0};
  EXPECT_EQ(poll(&ready, 1, 1000), 1);
  EXPECT_EQ(recv(accepted.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
  turn.release();
}

TEST_F(FlowReviewTest, LeavesTheSocketsOfOtherCgroupsAlone) {
  const ThrowawayCgroup neighbour;
  Rendezvous turn;
  WorkloadProcess process(neighbour, [&turn] {
    const SocketAddress to(ip("192.0.2.1"), 443);
    const auto tcp = make_socket(AF_INET, SOCK_STREAM);
    reset_on_close(tcp.get());
    if (connect(tcp.get(), to.get(), to.length) != 0) return std::string("connect");
    turn.arrive_and_wait();
    return std::string(send(tcp.get(), "x", 1, MSG_NOSIGNAL) == 1 ? "alive" : "dead");
  });
  ASSERT_TRUE(turn.await_arrival());
  FlowReview found;
  send_across([&] { found = review(make_policy({}, {"*://*:*"})); });
  EXPECT_EQ(found.destroyed.size(), 2u);
  turn.release();
  EXPECT_EQ(process.wait(), "alive");
}

TEST_F(FlowReviewTest, JudgesTheSocketsOfOtherNetworkNamespaces) {
  Rendezvous turn;
  WorkloadProcess process(cgroup_, [&turn] {
    if (unshare(CLONE_NEWNET) != 0) return std::string("unshare");
    run_command({"ip", "link", "set", "lo", "up"});
    const SocketAddress to(ip("127.0.0.1"), 443);
    const auto udp = make_socket(AF_INET, SOCK_DGRAM);
    if (connect(udp.get(), to.get(), to.length) != 0) return std::string("connect");
    turn.arrive_and_wait();
    // Destroyed: disconnected.
    return std::string(send(udp.get(), "x", 1, 0) == 1 ? "alive" : "dead");
  });
  ASSERT_TRUE(turn.await_arrival());
  const FlowReview found = review(make_policy({}));
  EXPECT_EQ(found.destroyed.size(), 1u);
  turn.release();
  EXPECT_EQ(process.wait(), "dead");
}

TEST_F(FlowReviewTest, SaysThatSocketsOfANamespaceItCannotEnterAreUnjudged) {
  Rendezvous turn;
  WorkloadProcess process(cgroup_, [&turn] {
    close_inherited_sockets();
    const auto udp = make_socket(AF_INET, SOCK_DGRAM);
    if (unshare(CLONE_NEWNET) != 0) return std::string("unshare");
    turn.arrive_and_wait();
    return std::string();
  });
  ASSERT_TRUE(turn.await_arrival());
  const FlowReview found = review(make_policy({}));
  turn.release();
  EXPECT_FALSE(found.is_complete());
  EXPECT_THAT(found.unjudged, testing::ElementsAre("its processes hold 1 sockets of network namespaces that none of "
                                                   "them is in"));
}

TEST_F(FlowReviewTest, ListingCostsAboutAMicrosecondForEachSocket) {
  const OwnedFd diagnosis(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  std::vector<OwnedFd> sockets;
  const SocketAddress to(ip("127.0.0.1"), 9);
  for (int i = 0; i < 900; ++i) {
    sockets.push_back(make_socket(AF_INET, SOCK_DGRAM));
    ASSERT_EQ(connect(sockets.back().get(), to.get(), to.length), 0);
  }
  const auto since = std::chrono::steady_clock::now();
  const auto listed = agent::list_sockets(diagnosis.get(), {});
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - since;
  ASSERT_TRUE(listed) << listed.error().message();
  EXPECT_GE(listed->flows.size(), 900u);
  std::printf("list_sockets: %.0f us for %zu sockets\n", took.count(), listed->flows.size());
  EXPECT_LT(took.count(), 100000);
}

}  // namespace
}  // namespace namewall::kernel_tests
