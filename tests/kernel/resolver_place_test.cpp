// No socket of a workload can answer in the place of a trusted resolver on this host.
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

}  // namespace
}  // namespace namewall::kernel_tests
