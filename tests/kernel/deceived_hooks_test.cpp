// A hook judges a destination, and what then happens is another one: the kernel chooses the address, the policy moves
// on under a socket that stays, translation hides the resolver, or a packet borrows its source.
#include <poll.h>

#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

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

}  // namespace
}  // namespace namewall::kernel_tests
