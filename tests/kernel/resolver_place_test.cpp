// No socket of a workload can answer in the place of a trusted resolver on this host.
#include <chrono>
#include <span>
#include <thread>

#include "tests/kernel/support/control_message.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

class ResolverPlace : public WorkloadTest {
 protected:
  void SetUp() override {
    WorkloadTest::SetUp();
    arm(make_policy({"example.com"}));
  }
  int bind_inside(const char* address, std::uint16_t port, int type) {
    return in_cgroup(cgroup_, [&] {
      const SocketAddress at(ip(address), port);
      const auto socket = make_socket(at.family(), type);
      return bind(socket.get(), at.get(), at.length) == 0 ? 0 : errno;
    });
  }
};

TEST_F(ResolverPlace, CannotBeBound) {
  for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
    EXPECT_EQ(bind_inside("127.0.0.53", 53, type), EACCES);
    EXPECT_EQ(bind_inside("0.0.0.0", 53, type), EACCES) << "would receive what is sent to the resolver";
    EXPECT_EQ(bind_inside("::", 53, type), EACCES);
  }
  EXPECT_GE(count_of(NW_REASON_BIND_RESOLVER), 6u);
}

// A socket on another local address with the resolver's port could send from the resolver's address by IP_PKTINFO.
TEST_F(ResolverPlace, PortCannotBeBoundOnAnotherLocalAddress) {
  EXPECT_EQ(bind_inside("127.0.0.9", 53, SOCK_DGRAM), EACCES);
  EXPECT_EQ(bind_inside("192.0.2.9", 53, SOCK_DGRAM), EACCES);
  EXPECT_EQ(bind_inside("127.0.0.9", 5353, SOCK_DGRAM), 0) << "other ports are the workload's own business";
}

// The kernel chooses ports too, and IP_PKTINFO an address of the host: such a socket was never seen binding the
// resolver's place, and the datagram's destination is allowed.
TEST_F(ResolverPlace, CannotBeSentFromOnAnAddressOfTheHost) {
  auto policy = make_policy({"udp://192.0.2.1:443"});
  const Address own = ip("10.77.0.2"), second = ip("10.77.0.3");
  const std::uint16_t port = 20'053;
  run_command({"ip", "address", "add", "10.77.0.3/24", "dev", kNearDevice});
  write_sysctl("net/ipv4/ip_local_port_range", "20053 20053");
  policy.dns.resolvers = {{own, Port{port}}};
  replace(policy);
  const auto send_twice_from = [&](const Address& source) {
    return in_cgroup(cgroup_, [&] {
      const auto socket = make_socket(AF_INET, SOCK_DGRAM);
      const SocketAddress to(ip("192.0.2.1"), 443);
      const char data[] = "from the resolver's place";
      // The first datagram makes the socket known to the hooks, the second takes egress's short path.
      for (int i = 0; i < 2; ++i) {
        if (const int error = send_from(socket.get(), source, to, std::as_bytes(std::span(data)))) return error;
      }
      return 0;
    });
  };
  EXPECT_EQ(send_twice_from(second), 0) << "another address, the same port";
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (far_->datagrams() < 2 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_EQ(far_->datagrams(), 2u) << "both arrived";
  EXPECT_EQ(send_twice_from(own), EPERM);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(far_->datagrams(), 2u);
  EXPECT_GE(count_of(NW_REASON_BIND_RESOLVER), 1u);
}

}  // namespace
}  // namespace namewall::kernel_tests
