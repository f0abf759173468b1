// Sockets that are older than the arming of their cgroup, or than the policy that narrowed: strict closes them.
#include "tests/kernel/support/sniffer.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

class OldSockets : public WorkloadTest {
 protected:
  struct Outcome {
    int udp_send, unconnected_send, tcp_send;
  };
  // Connects TCP and UDP before `change` and sends after it.
  Outcome send_across(const std::function<void()>& change) {
    Rendezvous turn;
    WorkloadProcess child(cgroup_, [&turn] {
      const SocketAddress to(ip("192.0.2.1"), 443);
      const auto udp = make_socket(AF_INET, SOCK_DGRAM), unconnected = make_socket(AF_INET, SOCK_DGRAM),
                 tcp = make_socket(AF_INET, SOCK_STREAM);
      reset_on_close(tcp.get());
      connect(udp.get(), to.get(), to.length);
      connect(tcp.get(), to.get(), to.length);
      turn.arrive_and_wait();
      Outcome outcome{};
      outcome.udp_send = send(udp.get(), "leak-udp", 8, 0) == 8 ? 0 : errno;
      outcome.unconnected_send = sendto(unconnected.get(), "leak-sendto", 11, 0, to.get(), to.length) == 11 ? 0 : errno;
      outcome.tcp_send = send(tcp.get(), "leak-tcp", 8, MSG_NOSIGNAL) == 8 ? 0 : errno;
      return std::string(reinterpret_cast<const char*>(&outcome), sizeof(outcome));
    });
    if (!turn.await_arrival()) ADD_FAILURE() << "the child did not connect";
    change();
    sniffer_.take();
    turn.release();
    const auto bytes = child.wait();
    Outcome outcome{-1, -1, -1};
    if (bytes.size() == sizeof(outcome)) std::memcpy(&outcome, bytes.data(), sizeof(outcome));
    return outcome;
  }
  bool leaked(const std::string& text) {
    if (!taken_) packets_ = sniffer_.take(), taken_ = true;
    for (const auto& packet : packets_) {
      if (contains_text(packet, text)) return true;
    }
    return false;
  }

  Sniffer sniffer_{network_};
  std::vector<Bytes> packets_;
  bool taken_ = false;
};

TEST_F(OldSockets, StrictClosesSocketsMadeBeforeArming) {
  const auto outcome = send_across([this] { arm(make_policy({"tcp://192.0.2.2:443"}), true); });
  EXPECT_EQ(outcome.udp_send, EPERM);
  EXPECT_NE(outcome.unconnected_send, 0);
  EXPECT_FALSE(leaked("leak-udp"));
  EXPECT_FALSE(leaked("leak-sendto"));
  EXPECT_FALSE(leaked("leak-tcp"));
  EXPECT_GT(count_of(NW_REASON_PACKET_OLD_SOCKET), 0u);
}

TEST_F(OldSockets, StrictKeepsOldSocketsThatThePolicyAllows) {
  const auto outcome = send_across([this] { arm(make_policy({"tcp://192.0.2.1:443", "udp://192.0.2.1:443"}), true); });
  EXPECT_EQ(outcome.udp_send, 0);
  EXPECT_EQ(outcome.tcp_send, 0);
  EXPECT_TRUE(leaked("leak-udp"));
  EXPECT_TRUE(leaked("leak-tcp"));
}

TEST_F(OldSockets, CleanArmingTrustsThatThereAreNone) {
  // Why `strict` exists: this is what it costs to leave it out wrongly.
  const auto outcome = send_across([this] { arm(make_policy({"tcp://192.0.2.2:443"}), false); });
  EXPECT_EQ(outcome.unconnected_send, ECONNREFUSED);
  EXPECT_FALSE(leaked("leak-sendto"));
  EXPECT_TRUE(leaked("leak-tcp"));
}

TEST_F(OldSockets, StrictReplacementClosesWhatTheNewPolicyNoLongerAllows) {
  arm(make_policy({"tcp://192.0.2.1:443", "udp://192.0.2.1:443"}));
  const auto outcome = send_across([this] { replace(make_policy({"tcp://192.0.2.2:443"}), true); });
  EXPECT_NE(outcome.udp_send, 0);
  EXPECT_FALSE(leaked("leak-udp"));
  EXPECT_FALSE(leaked("leak-sendto"));
  EXPECT_FALSE(leaked("leak-tcp"));
}

TEST_F(OldSockets, ReplacementWithoutStrictKeepsLiveFlows) {
  arm(make_policy({"tcp://192.0.2.1:443", "udp://192.0.2.1:443"}));
  const auto outcome = send_across([this] { replace(make_policy({"tcp://192.0.2.1:443"}), false); });
  EXPECT_EQ(outcome.tcp_send, 0);
  EXPECT_TRUE(leaked("leak-tcp"));
}

TEST_F(OldSockets, ExpiryStopsNewConnectsOnly) {
  zone_.add("short.test", ip("192.0.2.1"), 1);
  serve_zone();
  arm(make_policy({"*://short.test:443"}));
  ASSERT_TRUE(look_up_inside("short.test").delivered());
  const auto outcome = send_across([] { std::this_thread::sleep_for(std::chrono::milliseconds(1200)); });
  EXPECT_EQ(outcome.udp_send, 0) << "a connected socket keeps its peer";
  EXPECT_EQ(outcome.unconnected_send, ECONNREFUSED) << "an unconnected one is judged per datagram";
  EXPECT_EQ(outcome.tcp_send, 0);
}

}  // namespace
}  // namespace namewall::kernel_tests
